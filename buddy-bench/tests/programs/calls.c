// Every allocation function once, with sizes that nobody else asks for; exits with the number of the
// first thing that is not as it should be.
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define MUST(number, condition) if (!(condition)) return number

int main(void) {
    char *block = malloc(7001);
    MUST(1, block && malloc_usable_size(block) >= 7001);
    block = realloc(block, 7002);
    MUST(2, block);
    block = reallocarray(block, 7, 1009);
    MUST(3, block);
    errno = 0;
    MUST(4, !reallocarray(block, SIZE_MAX, 2) && errno == ENOMEM);
    MUST(5, !realloc(block, PTRDIFF_MAX));
    errno = 4711;
    free(block);
    MUST(6, errno == 4711);

    char *zeros = calloc(7, 1021);
    MUST(7, zeros);
    for (int i = 0; i < 7 * 1021; i++) MUST(8, zeros[i] == 0);
    free(zeros);
    errno = 0;
    volatile size_t many = SIZE_MAX;
    MUST(9, !calloc(many, 2) && errno == ENOMEM);

    void *aligned = NULL;
    MUST(10, posix_memalign(&aligned, 256, 7101) == 0 && (uintptr_t)aligned % 256 == 0);
    free(aligned);
    MUST(11, posix_memalign(&aligned, 3, 7102) == EINVAL);
    aligned = aligned_alloc(512, 7168);
    MUST(12, aligned && (uintptr_t)aligned % 512 == 0);
    free(aligned);
    aligned = memalign(1024, 7103);
    MUST(13, aligned && (uintptr_t)aligned % 1024 == 0);
    free(aligned);
    aligned = valloc(7104);
    MUST(14, aligned && (uintptr_t)aligned % 4096 == 0);
    free(aligned);

    pid_t child = fork();
    MUST(15, child >= 0);
    if (child == 0) {
        free(malloc(7201));
        return 0;
    }
    int status;
    MUST(16, waitpid(child, &status, 0) == child && status == 0);
    free(NULL);
    free(malloc(7202));
    // No exit handlers, no flush: the log must have it all the same.
    _exit(0);
}
