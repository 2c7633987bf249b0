/* The exact layers behind a pipe, for processors that Python does not run on here: remote_kernels.py builds and drives this.
 *
 * A message is an operation, 12 numbers, and 6 arrays, each a length in bytes (−1: none) and its bytes; int32, little-endian. The answer is
 * a status, 1 for done, and the arrays that the operation wrote. */
#include <stdio.h>
#include <stdlib.h>

#include "kernels.h"

enum { NUMBERS = 12, ARRAYS = 6, MOST_LAYERS = 4096 };
enum { NAME, LINEAR, DEPTHWISE, BLOCK, UNFOLD, FOLD, SAMPLES, ENTER, LEAVE, SCALE, PATCHES, GAIN, SEEN, ROUND, PUT };

typedef struct {
    int32_t bytes;
    void *data;
} array;

static void need(int done) {
    if (!done) {
        exit(1);
    }
}

static void put(const void *data, size_t bytes) {
    need(fwrite(data, 1, bytes, stdout) == bytes);
}

static vk_grid grid_of(const array *a, int rows, int columns, int border) {
    const ptrdiff_t cells = (ptrdiff_t)(rows + 2 * border) * (columns + 2 * border);
    return (vk_grid){a->data, rows, columns, border, a->bytes / (ptrdiff_t)sizeof(int16_t) / cells};
}

/* Of 32 bits or of 16, by the bytes that there are of them. */
static vk_latents latents_in(const array *a, int32_t count) {
    return a->bytes == 4 * count ? (vk_latents){.wide = a->data} : (vk_latents){.clamped = a->data};
}

int main(void) {
    static void *layers[MOST_LAYERS];
    int count = 0;
    int32_t op, n[NUMBERS];
    while (fread(&op, sizeof op, 1, stdin) == 1) {
        array a[ARRAYS];
        need(fread(n, sizeof n, 1, stdin) == 1);
        for (int i = 0; i < ARRAYS; i++) {
            need(fread(&a[i].bytes, sizeof a[i].bytes, 1, stdin) == 1);
            a[i].data = a[i].bytes < 0 ? NULL : malloc((size_t)a[i].bytes + 1);
            need(a[i].bytes <= 0 || fread(a[i].data, (size_t)a[i].bytes, 1, stdin) == 1);
        }
        int32_t status = 1;
        int first = 0, last = 0; /* of the arrays to answer with */
        const vk_stored stored = {a[0].data, a[1].data, a[2].data, 4, 4, 4};
        int64_t worst;
        if (op == NAME) {
            const char *name = vk_find_kernel(NULL)->name;
            printf("%s\n", name);
            fflush(stdout);
            continue;
        } else if (op == LINEAR || op == DEPTHWISE) {
            need(count < MOST_LAYERS);
            const vk_kernel *kernel = vk_find_kernel(NULL);
            layers[count] = op == LINEAR ? (void *)vk_pack_linear(kernel, &stored, n[0], n[1], n[2], n[3], n[4], n[5], &worst)
                                         : (void *)vk_pack_depthwise(kernel, &stored, n[0], n[1], n[3], n[4], &worst);
            need(layers[count] != NULL);
            status = count++;
        } else if (op == BLOCK) {
            vk_grid x = grid_of(&a[0], n[3], n[4], n[5]), y = grid_of(&a[1], n[3], n[4], n[5]);
            need(vk_blocks(&(vk_residual){layers[n[0]], layers[n[1]], layers[n[2]]}, 1, &x, &y, 1));
            first = 1, last = 2;
        } else if (op == UNFOLD || op == FOLD) {
            vk_grid x = grid_of(&a[0], n[1], n[2], n[3]), y = grid_of(&a[1], n[4], n[5], n[6]);
            const vk_after after = {a[2].data, n[8], a[3].data, n[9]};
            need((op == UNFOLD ? vk_unfold : vk_fold)(layers[n[0]], &x, &y, n[7], &after, 1));
            first = 1, last = 2;
        } else if (op == SAMPLES) {
            const vk_grid x = grid_of(&a[0], n[1], n[2], n[3]);
            need(vk_samples(layers[n[0]], &x, n[5] ? NULL : a[1].data, n[5] ? a[1].data : NULL, n[4], 1));
            first = 1, last = 2;
        } else if (op == ENTER) {
            vk_grid f = grid_of(&a[2], n[1], n[2], n[3]);
            need(vk_enter(layers[n[0]], a[0].data, n[4], n[5], a[1].data, a[1].bytes / 4, &f, n[6], 1));
            first = 2, last = 3;
        } else if (op == LEAVE) {
            const vk_grid f = grid_of(&a[0], n[1], n[2], n[3]);
            need(vk_leave(layers[n[0]], &f, a[1].data, a[2].data, a[3].data, a[4].data, n[4], n[5], 1));
            first = 3, last = 5;
        } else if (op == SCALE) {
            vk_grid x = grid_of(&a[3], n[0], n[1], n[2]);
            vk_scale_latents(latents_in(&a[0], n[0] * n[1] * n[4]), a[1].data, a[2].data, n[3], &x, n[4], 1);
            first = 3, last = 4;
        } else if (op == PATCHES) {
            vk_grid x = grid_of(&a[1], n[0], n[1], n[2]);
            vk_patches(a[0].data, n[3], n[4], &x, 1);
            first = 1, last = 2;
        } else if (op == GAIN) {
            const vk_grid x = grid_of(&a[0], n[0], n[1], n[2]);
            vk_gain(&x, n[3], n[4], a[1].data, a[2].data, a[3].data, n[5], n[6], n[7], 1);
            first = 3, last = 4;
        } else if (op == SEEN) {
            vk_grid x = grid_of(&a[2], n[0], n[1], n[2]);
            vk_seen(a[0].data, n[3], n[4], n[5], a[1].data, a[1].bytes / 4, &x, 1);
            first = 2, last = 3;
        } else if (op == ROUND) {
            vk_round_step(a[0].data, a[1].data, a[2].data, a[3].data, n[0], n[1], n[2], n[3], a[4].data, 1);
            first = 4, last = 5;
        } else if (op == PUT) {
            vk_put_step(a[0].data, a[1].data, n[0], n[1], n[2], n[3], a[2].data, latents_in(&a[3], n[1] * n[2] * n[3]), 1);
            first = 2, last = 4;
        } else {
            return 1;
        }
        put(&status, sizeof status);
        for (int i = first; i < last; i++) {
            put(a[i].data, (size_t)a[i].bytes);
        }
        fflush(stdout);
        for (int i = 0; i < ARRAYS; i++) {
            free(a[i].data);
        }
    }
    return 0;
}
