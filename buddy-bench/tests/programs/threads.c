// Four threads hand blocks to each other and free them; the main thread frees what is left.
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { THREADS = 4, ROUNDS = 20000, PLACES = 16 };

static _Atomic(char *) places[PLACES];

static void *work(void *argument) {
    unsigned state = (unsigned)(size_t)argument * 2654435761u + 1;
    for (int round = 0; round < ROUNDS; round++) {
        state = state * 1664525u + 1013904223u;
        size_t size = 24 + (state >> 24);
        char *block = malloc(size);
        block[0] = 1;
        if (state & 0x10000) block = realloc(block, size * 2);
        free(atomic_exchange(&places[(state >> 8) % PLACES], block));
    }
    return NULL;
}

int main(void) {
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, work, (void *)i);
    for (size_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    for (size_t i = 0; i < PLACES; i++) free(places[i]);
    return 0;
}
