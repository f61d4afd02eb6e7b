/* Memory of large arrays that outlives them: what is freed is kept for the next array of about its size.
 *
 * Pages that are new to a process are zeroed by the kernel at first touch. For an output that is written once that takes as long as the
 * whole computation where pages are large, and several times as long where they are of 4 KB; a loop that makes and drops a gradient at
 * every step would pay it at every step.
 *
 * What is kept is bounded in number and bytes, the oldest goes first, and a block serves requests from half its size. Kept memory is
 * marked as free to the kernel (MADV_FREE), which takes it when it needs memory and otherwise leaves it: of 2 MB pages that costs less
 * than 20 us per 128 MB. Of 4 KB pages it costs as much as writing them, so that there it stays with the bound.
 *
 * Nothing is kept over a fork: a child that wrote to what its parent also has would copy it page by page.
 *
 * Every block is a mapping of its own, with a page before the data that says how long it is; data begin at a page, and those of 2 MB
 * at a 2 MB page.
 */
#ifndef FASTLOSS_MEMORY_H
#define FASTLOSS_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FL_LARGE ((size_t)1 << 20) /* bytes of arrays from which on it pays */

#if !defined(__unix__) && !defined(__APPLE__) /* nothing is kept, nobody need ask */
#define FL_RECYCLES 0
static void fl_memory_settings(size_t most, int lazily) { (void)most; (void)lazily; }
static int fl_memory_kept(size_t *bytes) { return (int)(*bytes = 0); }
static void *fl_memory_malloc(void *ctx, size_t size) { (void)ctx; return malloc(size); }
static void *fl_memory_calloc(void *ctx, size_t n, size_t each) { (void)ctx; return calloc(n, each); }
static void *fl_memory_realloc(void *ctx, void *data, size_t size) { (void)ctx; return realloc(data, size); }
static void fl_memory_free(void *ctx, void *data, size_t size) { (void)ctx; (void)size; free(data); }
#else
#define FL_RECYCLES 1
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#define FL_HUGE ((size_t)1 << 21)
#define FL_KEPT 8 /* blocks: an objective's loss, gradient and Hessian, twice, and some */

typedef struct {
    char *data;
    size_t length; /* of the mapping from there on */
} fl_block;

static struct {
    pthread_mutex_t lock;
    fl_block kept[FL_KEPT]; /* the oldest first */
    int count, watching, lazily;
    size_t total, most;
} fl_memory = {PTHREAD_MUTEX_INITIALIZER, {{0, 0}}, 0, 0, 0, 0, 0};

static inline size_t fl_page(void) { return (size_t)sysconf(_SC_PAGESIZE); }
static inline size_t fl_rounded(size_t size, size_t unit) { return (size + unit - 1) / unit * unit; }
static inline size_t *fl_length(void *data) { return (size_t *)((char *)data - fl_page()); }
static void fl_unmap(fl_block block) { munmap(block.data - fl_page(), block.length + fl_page()); }

static fl_block fl_map(size_t size) {
    fl_block block = {NULL, 0};
    size_t page = fl_page(), huge = fl_rounded(size, FL_HUGE), length = huge - size <= size / 8 ? huge : fl_rounded(size, page);
    size_t room = length + page + (length >= FL_HUGE ? FL_HUGE : 0); /* to move the data to a 2 MB page; what is left over goes back */
    char *start = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0), *data, *end = start + room;
    if (start == MAP_FAILED) return block;
    data = length >= FL_HUGE ? (char *)fl_rounded((size_t)start + page, FL_HUGE) : start + page;
    if (data - page > start) munmap(start, (size_t)(data - page - start));
    if (end > data + length) munmap(data + length, (size_t)(end - data - length));
#ifdef MADV_HUGEPAGE
    if (length >= FL_HUGE) madvise(data - page, length + page, MADV_HUGEPAGE);
#endif
    block.data = data;
    block.length = *fl_length(data) = length;
    return block;
}

/* Under the lock: take a block out of those that are kept. */
static fl_block fl_take_out(int index) {
    fl_block block = fl_memory.kept[index];
    fl_memory.total -= block.length;
    memmove(fl_memory.kept + index, fl_memory.kept + index + 1, (size_t)(--fl_memory.count - index) * sizeof(fl_block));
    return block;
}

/* Under the lock: give the oldest back until no more than so many, of no more than so many bytes, are left. */
static void fl_shrink(int count, size_t total) {
    while (fl_memory.count > count || fl_memory.total > total) fl_unmap(fl_take_out(0));
}

static void fl_before_fork(void) {
    pthread_mutex_lock(&fl_memory.lock);
    fl_shrink(0, 0);
}

static void fl_after_fork(void) { pthread_mutex_unlock(&fl_memory.lock); }
static void fl_after_fork_child(void) { pthread_mutex_init(&fl_memory.lock, 0); }

/* At most how many bytes are kept, and whether they are marked as free to the kernel. */
static void fl_memory_settings(size_t most, int lazily) {
    pthread_mutex_lock(&fl_memory.lock);
    if (!fl_memory.watching) fl_memory.watching = pthread_atfork(fl_before_fork, fl_after_fork, fl_after_fork_child) == 0;
    fl_memory.most = fl_memory.watching ? most : 0;
    __atomic_store_n(&fl_memory.lazily, lazily, __ATOMIC_RELAXED);
    fl_shrink(FL_KEPT, fl_memory.most);
    pthread_mutex_unlock(&fl_memory.lock);
}

/* How many blocks are kept, and how many bytes these have. */
static int fl_memory_kept(size_t *bytes) {
    int count;
    pthread_mutex_lock(&fl_memory.lock);
    *bytes = fl_memory.total;
    count = fl_memory.count;
    pthread_mutex_unlock(&fl_memory.lock);
    return count;
}

/* Memory of at least so many bytes: the smallest kept block that holds them and is not more than twice as long, else a new one. */
static void *fl_found(size_t size, int *fresh) {
    fl_block block = {NULL, 0};
    int best = -1;
    if (size > PTRDIFF_MAX / 2) return NULL;
    pthread_mutex_lock(&fl_memory.lock);
    for (int i = 0; i < fl_memory.count; i++)
        if (fl_memory.kept[i].length >= size && fl_memory.kept[i].length / 2 <= size
            && (best < 0 || fl_memory.kept[i].length <= fl_memory.kept[best].length)) best = i; /* of equals the newest */
    if (best >= 0) block = fl_take_out(best);
    pthread_mutex_unlock(&fl_memory.lock);
    *fresh = !block.data;
    if (!block.data) block = fl_map(size ? size : 1);
    if (!block.data) { /* what is kept may be what is missing */
        pthread_mutex_lock(&fl_memory.lock);
        fl_shrink(0, 0);
        pthread_mutex_unlock(&fl_memory.lock);
        block = fl_map(size ? size : 1);
    }
    return block.data;
}

/* NumPy's allocator; see PyDataMemAllocator. */

static void *fl_memory_malloc(void *ctx, size_t size) {
    int fresh;
    (void)ctx;
    return fl_found(size, &fresh);
}

static void *fl_memory_calloc(void *ctx, size_t n, size_t each) {
    int fresh;
    void *data = each && n > SIZE_MAX / each ? NULL : fl_found(n * each, &fresh);
    (void)ctx;
    if (data && !fresh) memset(data, 0, n * each);
    return data;
}

static void fl_memory_free(void *ctx, void *data, size_t size) {
    fl_block block = {data, 0};
    int keep;
    (void)ctx, (void)size; /* which is the array's, not the block's */
    if (!data) return;
    block.length = *fl_length(data);
#if defined(__linux__) && defined(MADV_FREE) /* before it is kept: from then on it may be another thread's */
    if (block.length >= FL_HUGE && __atomic_load_n(&fl_memory.lazily, __ATOMIC_RELAXED))
        madvise(data, block.length / FL_HUGE * FL_HUGE, MADV_FREE);
#endif
    pthread_mutex_lock(&fl_memory.lock);
    keep = block.length >= FL_LARGE && block.length <= fl_memory.most;
    if (keep) {
        fl_shrink(FL_KEPT - 1, fl_memory.most - block.length);
        fl_memory.kept[fl_memory.count++] = block;
        fl_memory.total += block.length;
    }
    pthread_mutex_unlock(&fl_memory.lock);
    if (!keep) fl_unmap(block);
}

static void *fl_memory_realloc(void *ctx, void *data, size_t size) {
    size_t held = data ? *fl_length(data) : 0;
    void *moved;
    if (data && size <= held && held / 2 <= size) return data;
    moved = fl_memory_malloc(ctx, size);
    if (moved && data) {
        memcpy(moved, data, held < size ? held : size);
        fl_memory_free(ctx, data, held);
    }
    return moved;
}
#endif
#endif
