# Where interrupts arrive. All run on stacks of their own (IST): below the interrupted code's stack
# pointer may lie its red zone.

    .section .text.interrupts, "ax", @progbits

    .macro fault vector, has_code
    .global fault_\vector
fault_\vector:
    .if \has_code == 0
    pushq $0
    .endif
    pushq $\vector
    jmp   fault_common
    .endm

    fault 0, 0
    fault 3, 0
    fault 6, 0
    fault 8, 1
    fault 10, 1
    fault 11, 1
    fault 12, 1
    fault 13, 1
    fault 14, 1
    fault 17, 1

fault_common:
    movq  %rsp, %rdi              # vector, error code, rip, cs, rflags, rsp, ss
    movq  %cr2, %rsi
    cld
    andq  $-16, %rsp
    call  fault_arrived

    .global timer_entry
timer_entry:
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rbx
    pushq %rbp
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq  %rsp, %rbp
    subq  $512, %rsp
    andq  $-16, %rsp
    fxsave64 (%rsp)
    cld
    call  timer_arrived
    fxrstor64 (%rsp)
    movq  %rbp, %rsp
    popq  %r15
    popq  %r14
    popq  %r13
    popq  %r12
    popq  %r11
    popq  %r10
    popq  %r9
    popq  %r8
    popq  %rdi
    popq  %rsi
    popq  %rbp
    popq  %rbx
    popq  %rdx
    popq  %rcx
    popq  %rax
    iretq

    .global spurious_entry
spurious_entry:
    iretq
    .text
