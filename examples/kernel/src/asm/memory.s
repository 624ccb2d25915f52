# What compiled code expects of a C library.

    .section .text.memory, "ax", @progbits
    .global memcpy, memmove, memset, memcmp, bcmp, strlen
memcpy:
    movq %rdi, %rax
    movq %rdx, %rcx
    rep movsb
    ret
memmove:
    movq %rdi, %rax
    movq %rdi, %rcx
    subq %rsi, %rcx
    cmpq %rdx, %rcx               # forward, unless the target begins inside the source
    jb   1f
    movq %rdx, %rcx
    rep movsb
    ret
1:  leaq -1(%rdi,%rdx), %rdi
    leaq -1(%rsi,%rdx), %rsi
    movq %rdx, %rcx
    std
    rep movsb
    cld
    ret
memset:
    movq %rdi, %r8
    movl %esi, %eax
    movq %rdx, %rcx
    rep stosb
    movq %r8, %rax
    ret
memcmp:
bcmp:
    xorl %eax, %eax
    movq %rdx, %rcx
    testq %rcx, %rcx
    jz   2f
    repe cmpsb
    je   2f
    movzbl -1(%rdi), %eax
    movzbl -1(%rsi), %ecx
    subl %ecx, %eax
2:  ret
strlen:
    xorl %eax, %eax
3:  cmpb $0, (%rdi,%rax)
    je   4f
    incq %rax
    jmp  3b
4:  ret
    .text
