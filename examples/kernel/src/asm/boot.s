# The way from QEMU's PVH entry (32-bit protected mode, paging off, EBX = start info) to `kernel_main`
# in long mode. The first 4 GiB are mapped twice: at 0, where the image is linked, and at the offset at
# which the kernel reaches physical memory (the higher half's first entry, 256).

    .section .note.pvh, "a", @note
    .align 4
    .long 4                       # length of the name
    .long 4                       # length of the description
    .long 18                      # XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long pvh_start

    .section .boot, "ax", @progbits
    .code32
    .global pvh_start
pvh_start:
    cli
    cld
    movl  $boot_stack_top, %esp
    movl  %ebx, %esi

    # The tables lie in .bss, which is zero.
    movl  $boot_pdpt + 0x3, boot_pml4
    movl  $boot_pdpt + 0x3, boot_pml4 + 256*8
    movl  $boot_pd + 0x3, %eax
    xorl  %ecx, %ecx
1:  movl  %eax, boot_pdpt(,%ecx,8)
    addl  $4096, %eax
    incl  %ecx
    cmpl  $4, %ecx
    jne   1b
    xorl  %ecx, %ecx
    movl  $0x83, %eax             # present, writable, 2 MiB
2:  movl  %eax, boot_pd(,%ecx,8)
    addl  $0x200000, %eax
    incl  %ecx
    cmpl  $2048, %ecx
    jne   2b

    movl  $boot_pml4, %eax
    movl  %eax, %cr3
    movl  %cr4, %eax
    orl   $0x620, %eax            # PAE, OSFXSR, OSXMMEXCPT: compiled code uses SSE2
    movl  %eax, %cr4
    movl  $0xC0000080, %ecx       # EFER: long mode, no-execute pages
    rdmsr
    orl   $0x900, %eax
    wrmsr
    movl  %cr0, %eax
    andl  $0xfffffffb, %eax       # no emulation of the FPU
    orl   $0x80010002, %eax       # paging, write protection, MP
    movl  %eax, %cr0
    lgdt  boot_gdtr
    ljmp  $8, $long_mode

    .code64
long_mode:
    movl  $16, %eax
    movl  %eax, %ds
    movl  %eax, %es
    movl  %eax, %ss
    xorl  %eax, %eax
    movl  %eax, %fs
    movl  %eax, %gs
    movq  $boot_stack_top, %rsp
    xorl  %ebp, %ebp
    movl  %esi, %edi
    call  kernel_main
3:  hlt
    jmp   3b

    .align 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff      # 64-bit code
    .quad 0x00cf93000000ffff      # data
boot_gdtr:
    .word 23
    .quad boot_gdt

    .section .bss.boot, "aw", @nobits
    .align 4096
boot_pml4:  .skip 4096
boot_pdpt:  .skip 4096
boot_pd:    .skip 4096*4
boot_stack: .skip 65536
boot_stack_top:
    .text
