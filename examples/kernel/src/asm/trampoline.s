# Where a processor begins that is woken up: in real mode, at a frame below 1 MiB that this is copied
# to. It goes to long mode at once, with the kernel's page tables, and calls the entry. The fields at
# the end are filled in by machine/smp.rs; addresses are relative to the frame, which is CS * 16.

    .section .rodata.trampoline, "a", @progbits
    .global trampoline_start, trampoline_end
    .global trampoline_gdt_base, trampoline_far, trampoline_cr3
    .global trampoline_stack, trampoline_number, trampoline_entry
    .code16
trampoline_start:
    cli
    cld
    movw  %cs, %ax
    movw  %ax, %ds
    lgdtl (trampoline_gdtr - trampoline_start)
    movl  %cr4, %eax
    orl   $0x620, %eax            # as in boot.s
    movl  %eax, %cr4
    movl  (trampoline_cr3 - trampoline_start), %eax
    movl  %eax, %cr3
    movl  $0xC0000080, %ecx
    rdmsr
    orl   $0x900, %eax
    wrmsr
    movl  $0x80010033, %eax       # paging, write protection, NE, ET, MP, protection; caches on
    movl  %eax, %cr0
    ljmpl *(trampoline_far - trampoline_start)

    .code64
    .global trampoline_long
trampoline_long:
    movl  $16, %eax
    movl  %eax, %ds
    movl  %eax, %es
    movl  %eax, %ss
    xorl  %eax, %eax
    movl  %eax, %fs
    movl  %eax, %gs
    movq  trampoline_stack(%rip), %rsp
    movq  trampoline_number(%rip), %rdi
    movq  trampoline_entry(%rip), %rax
    xorl  %ebp, %ebp
    call  *%rax
1:  hlt
    jmp   1b

    .align 8
trampoline_gdt:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
trampoline_gdtr:
    .word 23
trampoline_gdt_base:
    .long trampoline_gdt - trampoline_start
    .align 8
trampoline_far:
    .long trampoline_long - trampoline_start
    .word 8
    .align 8
trampoline_cr3:    .quad 0
trampoline_stack:  .quad 0
trampoline_number: .quad 0
trampoline_entry:  .quad 0
trampoline_end:
    .text
