//go:build cgo && linux && (amd64 || arm64)

#include "conv.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

const float zeros[MAX_CHANNELS];

// Work of several items, each done once by whichever thread comes first. A thread that comes late finds none left, maybe
// after the caller has gone: so the job is freed by whoever leaves last, and nothing of the caller's is touched by then.
struct job {
	atomic_int users, next, slots, done;
	int items;
	void (*item)(void *context, int item, int slot);
	void *context;
	pthread_mutex_t lock;
	pthread_cond_t finished;
};

static void leave(struct job *j) {
	if (atomic_fetch_sub(&j->users, 1) > 1) return;
	pthread_cond_destroy(&j->finished);
	pthread_mutex_destroy(&j->lock);
	free(j);
}

static void work(struct job *j) {
	int i = atomic_fetch_add(&j->next, 1);
	if (i >= j->items) return;
	int slot = atomic_fetch_add(&j->slots, 1);
	for (; i < j->items; i = atomic_fetch_add(&j->next, 1)) {
		j->item(j->context, i, slot);
		if (atomic_fetch_add(&j->done, 1) + 1 < j->items) continue;
		pthread_mutex_lock(&j->lock);
		pthread_cond_signal(&j->finished);
		pthread_mutex_unlock(&j->lock);
	}
}

static void help(void *data) {
	work(data);
	leave(data);
}

// Calls item(context, i, slot) once for every i in [0, items); slot, below helpers->threads, is the calling thread's own.
static void parallel(const struct helpers *h, int items, void (*item)(void *, int, int), void *context) {
	int threads = h->threads < items ? h->threads : items;
	struct job *j = threads > 1 ? calloc(1, sizeof *j) : NULL;
	if (!j) {
		for (int i = 0; i < items; i++) item(context, i, 0);
		return;
	}
	j->items = items;
	j->item = item;
	j->context = context;
	pthread_mutex_init(&j->lock, NULL);
	pthread_cond_init(&j->finished, NULL);
	atomic_store(&j->users, threads);
	for (int i = 1; i < threads; i++)
		if (!h->run(h->context, help, j)) leave(j);
	work(j);
	pthread_mutex_lock(&j->lock);
	while (atomic_load(&j->done) < items) pthread_cond_wait(&j->finished, &j->lock);
	pthread_mutex_unlock(&j->lock);
	leave(j);
}

enum { ROWS = 8 }; // input channels an item of work on filters

static int ceil_div(int a, int b) { return (a + b - 1) / b; }
static int least(int a, int b) { return a < b ? a : b; }

// turned[3][3][C][K] of w[3][3][K][C], for the input channels from c0 to c1.
static void turn(const struct conv *v, int c0, int c1) {
	for (int q = 0; q < 9; q++)
		for (int k = 0; k < v->K; k++)
			for (int c = c0; c < c1; c++)
				v->turned[((size_t)q * v->C + c) * v->K + k] = v->w[((size_t)q * v->K + k) * v->C + c];
}

static void filter_item(void *context, int i, int slot) {
	const struct conv *v = context;
	(void)slot;
	int c0 = i * ROWS, c1 = least(c0 + ROWS, v->C);
	if (v->turned) turn(v, c0, c1);
	v->kernels->filters(v, v->turned ? v->turned : v->w, c0, c1);
}

static void few_item(void *context, int i, int slot) {
	const struct conv *v = context;
	v->kernels->few(v, i, v->scratch + slot * v->scratch_size);
}

static void half_item(void *context, int i, int slot) {
	const struct conv *v = context;
	v->kernels->half(v, i, v->scratch + slot * v->scratch_size);
}

static void one_item(void *context, int i, int slot) {
	const struct conv *v = context;
	v->kernels->one(v, i, v->scratch + slot * v->scratch_size);
}

static void apply_item(void *context, int i, int slot) {
	const struct conv *v = context;
	v->kernels->apply(v, i * v->block, least(v->block, v->tiles - i * v->block), v->scratch + slot * v->scratch_size);
}

// The first input channel of a chunk. All are multiples of 16 but the end, and every chunk has 16 or more.
static int chunk_start(const struct conv *v, int i) { return i == v->chunks ? v->C : i * v->C / v->chunks & ~15; }

static void accumulate_item(void *context, int i, int slot) {
	const struct conv *v = context;
	int part = i / v->chunks, chunk = i % v->chunks;
	v->kernels->accumulate(v, chunk_start(v, chunk), chunk_start(v, chunk + 1), part * v->per_part,
			       least((part + 1) * v->per_part, v->tiles), v->scratch + slot * v->scratch_size,
			       v->U + part * 36 * plane_size(v->C, v->Kp));
}

static void unfilter_item(void *context, int i, int slot) {
	const struct conv *v = context;
	(void)slot;
	v->kernels->unfilters(v, i * ROWS, least((i + 1) * ROWS, v->C));
}

// Memory for n floats in whole cache lines.
static size_t lines(size_t n) { return (n + 15) & ~(size_t)15; }

// The memory that convolutions work in is kept from one to the next, a block for each of those that run at the same time: what was
// used last is still in the caches, where what the allocator finds is not.
static struct kept { struct kept *below; size_t size; } *kept; // a header of one cache line
static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;

static float *take(size_t floats) {
	size_t size = sizeof(float) * lines(floats) + 64;
	pthread_mutex_lock(&kept_lock);
	struct kept *k = kept;
	if (k) kept = k->below;
	pthread_mutex_unlock(&kept_lock);
	if (k && k->size < size) {
		free(k);
		k = NULL;
	}
	if (!k) {
		k = aligned_alloc(64, size);
		if (!k) return NULL;
		k->size = size;
	}
	return (float *)((char *)k + 64);
}

static void put_back(float *memory) {
	struct kept *k = (struct kept *)((char *)memory - 64);
	pthread_mutex_lock(&kept_lock);
	k->below = kept;
	kept = k;
	pthread_mutex_unlock(&kept_lock);
}

// Tiles a block: few, so that what they are transformed into stays near, but filters are read anew for every block, and the more of the
// second-level cache those fill, the more tiles pay.
static int block_size(size_t filters) {
	size_t size = sizeof(float) * filters;
	return size > 3 << 19 ? 2 * TILES : size > 1 << 20 ? TILES : TILES / 2;
}

int convolve(enum kind kind, int B, int H, int W, int C, int K, const float *a, const float *b, const struct terms *terms,
	     float *out, const struct helpers *helpers, int at_most) {
	void (*by_image)(void *, int, int) = kind == HALF ? half_item : kind == ONE ? one_item : kind == FORWARD && C < FEW ? few_item : NULL;
	const struct kernels *kernels = kernels_for(by_image == few_item ? K : by_image == one_item ? C : least(C, K), at_most);
	if ((kind == HALF && (C != K || (K != 16 && K != 32) || H % 2 || W % 2)) || (kind == ONE && (C != ONE_CHANNELS || K != 1))) return 2;
	if (!kernels || C > MAX_CHANNELS || K > MAX_CHANNELS) return 2;
	struct conv v = {.B = B, .H = H, .W = W, .C = C, .K = K, .x = a, .x_row = W, .x_image = H * W, .out = out, .kernels = kernels};
	if (terms && (kind == FORWARD || kind == DOUBLED)) v.terms = *terms;
	if (kind == DOUBLED) v.doubled = 1, v.H = H *= 2, v.W = W *= 2;
	if (by_image) {
		v.w = b;
		v.scratch_size = lines((size_t)3 * (W + 2) * C);
		v.scratch = take(v.scratch_size * least(helpers->threads, B));
		if (!v.scratch) return 1;
		parallel(helpers, B, by_image, &v);
		put_back(v.scratch);
		return 0;
	}
	v.Kp = ceil_div(K, kernels->lanes) * kernels->lanes;
	v.rows = ceil_div(H, 4);
	v.columns = ceil_div(W, 4);
	v.tiles = B * v.rows * v.columns;
	size_t filters = 36 * plane_size(C, v.Kp), turned = 0;
	int items;
	if (kind == FILTER_GRADIENT) {
		// How the sum is cut depends on the shape alone, and so does its order. The parts' sums take 16 MB or less.
		v.y = b;
		v.parts = least(8, ceil_div(v.tiles, 2 * TILES));
		v.parts = least(v.parts, (4 << 20) / (36 * C * v.Kp) + 1);
		v.per_part = ceil_div(ceil_div(v.tiles, v.parts), TILES) * TILES;
		v.parts = ceil_div(v.tiles, v.per_part);
		v.chunks = ceil_div(C, 128);
		filters *= v.parts;
		items = v.parts * v.chunks;
		v.block = TILES;
		v.scratch_size = 36 * (plane_size(v.block, ceil_div(C, v.chunks) + 16) + plane_size(v.block, v.Kp));
	} else {
		// Smaller blocks where the threads would not have two each. A result depends on its own tile alone.
		v.w = b;
		v.block = least(block_size(filters), (ceil_div(v.tiles, 2 * helpers->threads) + 7) & ~7);
		items = ceil_div(v.tiles, v.block);
		v.scratch_size = 36 * (plane_size(v.block, C) + plane_size(v.block, v.Kp));
		if (kind == INPUT_GRADIENT) turned = (size_t)9 * C * K;
	}
	int threads = least(helpers->threads, items);
	float *memory = take(lines(filters) + lines(turned) + threads * v.scratch_size);
	if (!memory) return 1;
	v.U = memory;
	v.scratch = memory + lines(filters) + lines(turned);
	if (turned) v.turned = memory + lines(filters);
	if (kind == FILTER_GRADIENT) {
		parallel(helpers, items, accumulate_item, &v);
		parallel(helpers, ceil_div(C, ROWS), unfilter_item, &v);
	} else {
		if (v.Kp > K) memset(v.U, 0, sizeof(float) * filters); // what stands beyond K is multiplied, and dropped
		parallel(helpers, ceil_div(C, ROWS), filter_item, &v);
		parallel(helpers, items, apply_item, &v);
	}
	put_back(memory);
	return 0;
}

static void norm_forward_item(void *context, int i, int slot) {
	const struct norm *v = context;
	(void)slot;
	v->kernels->norm_forward(v, i);
}

static void norm_backward_item(void *context, int i, int slot) {
	const struct norm *v = context;
	(void)slot;
	v->kernels->norm_backward(v, i);
}

int normalise(int B, int P, int C, int G, const float *x, const float *gamma, const float *beta, const float *dy, float *out,
	      float *dgamma, float *dbeta, float *statistics, const struct helpers *helpers, int at_most) {
	const struct kernels *kernels = kernels_for(C, at_most);
	if (!kernels || C > MAX_CHANNELS || G < 1 || C % G) return 2;
	struct norm v = {.B = B, .P = P, .C = C, .G = G, .x = x, .gamma = gamma, .beta = beta, .dy = dy, .out = out, .W = P, .out_row = P, .out_image = P,
		.kernels = kernels};
	v.known = dy && statistics;
	size_t each = (size_t)B * 2 * C;
	float *memory = malloc(sizeof(float) * 2 * each);
	if (!memory) return 1;
	v.images = memory;
	v.statistics = statistics ? statistics : memory + each;
	if (!dy) {
		parallel(helpers, B, norm_forward_item, &v);
		free(memory);
		return 0;
	}
	parallel(helpers, B, norm_backward_item, &v);
	for (int c = 0; c < C; c++) dgamma[c] = dbeta[c] = 0;
	for (int b = 0; b < B; b++)
		for (int c = 0; c < C; c++) {
			dgamma[c] += v.images[(size_t)b * 2 * C + c];
			dbeta[c] += v.images[(size_t)b * 2 * C + C + c];
		}
	free(memory);
	return 0;
}

// Copies n floats. A call of memcpy takes longer than to copy the few channels of a pixel.
static inline void copy_floats(float *to, const float *from, int n) {
	for (; n >= 16; n -= 16, to += 16, from += 16) memcpy(to, from, sizeof(float) * 16);
	if (n) memcpy(to, from, sizeof(float) * n);
}

static void join_pixels(int pixels, int C, int K, const float *a, const float *b, float *out) {
	for (int p = 0; p < pixels; p++, a += C, b += K) {
		copy_floats(out, a, C);
		copy_floats(out += C, b, K);
		out += K;
	}
}

// A residual block on its way.
struct residual_work {
	struct norm norm[2];
	struct conv conv[2];
	int images; // at a time
	const struct residual *r;
	float *scratch;
	size_t scratch_size, normed_size[2], middle_size, x_size, other_size, statistics_size; // of which so much are parts, in this order
};

static void residual_filter_item(void *context, int i, int slot) {
	const struct residual_work *v = context;
	int first = ceil_div(v->conv[0].C, ROWS);
	filter_item((void *)&v->conv[i >= first], i < first ? i : i - first, slot);
}

// The floats before the first pixel of bordered images: the border shared by two rows or images stands once.
static size_t border(const struct norm *n) { return (size_t)(n->out_row + 1) * n->C; }

// Writes the border of bordered images.
static void clear_border(const struct norm *n, int images, float *x) {
	size_t row = sizeof(float) * n->out_row * n->C, inside = (size_t)n->W * n->C;
	memset(x, 0, sizeof(float) * border(n));
	x += border(n);
	for (int b = 0; b < images; b++)
		for (int y = 0; y < n->out_image / n->out_row; y++, x += (size_t)n->out_row * n->C) {
			if (y * n->W < n->P) memset(x + inside, 0, row - sizeof(float) * inside);
			else memset(x, 0, row);
		}
	memset(x, 0, sizeof(float) * n->C);
}

enum { PIXELS = 32 }; // of a product at a time

static void residual_item(void *context, int i, int slot) {
	const struct residual_work *v = context;
	const struct residual *r = v->r;
	int first = i * v->images, images = least(v->images, r->B - first), P = r->H * r->W;
	float *normed = v->scratch + slot * v->scratch_size, *middle = normed + v->normed_size[0] + v->normed_size[1], *whole = middle + v->middle_size;
	float *other = whole + v->x_size, *statistics = other + v->other_size, *work = statistics + v->statistics_size;
	const float *x = r->x + (size_t)first * P * (r->C - r->J);
	if (r->joined) {
		join_pixels(images * P, r->C - r->J, r->J, x, r->joined + (size_t)first * P * r->J, whole);
		x = whole;
	}
	for (int p = 0; r->skip && p < images * P; p += PIXELS)
		v->conv[0].kernels->product(least(PIXELS, images * P - p), r->C, r->K, x + (size_t)p * r->C, r->skip, other + (size_t)p * r->K, work);
	for (int step = 0; step < 2; step++) {
		struct norm n = v->norm[step];
		if (step) normed += v->normed_size[0];
		n.x = step ? middle : x;
		n.out = normed + border(&n);
		n.statistics = statistics;
		for (int b = 0; b < images; b++) n.kernels->norm_forward(&n, b);
		struct conv c = v->conv[step];
		size_t before = (size_t)first * n.P * c.K;
		c.x = n.out;
		c.out = step ? c.out + before : middle;
		if (c.terms.image) c.terms.image += (size_t)first * c.K;
		if (step) c.terms.other = r->skip ? other : r->other + before;
		int tiles = images * c.rows * c.columns;
		for (int t = 0; t < tiles; t += c.block) c.kernels->apply(&c, t, least(c.block, tiles - t), work);
	}
}

int residual(const struct residual *r, const struct helpers *helpers, int at_most) {
	const struct kernels *kernels = kernels_for(least(r->C, r->K), at_most);
	if (!kernels || r->C > MAX_CHANNELS || r->K > MAX_CHANNELS || r->G < 1 || r->C % r->G || r->K % r->G) return 2;
	if (r->skip && ((r->K != 16 && r->K != 32 && r->K != 64) || r->C % (64 / r->K))) return 2;
	struct residual_work v = {.images = 1, .r = r};
	int wide = r->C > r->K ? r->C : r->K;
	int rows = ceil_div(r->H, 4), columns = ceil_div(r->W, 4), x_row = 4 * columns + 1, x_image = x_row * (4 * rows + 1);
	size_t filters[2], work = 64 * PIXELS;
	for (int i = 0; i < 2; i++) {
		int C = i ? r->K : r->C;
		v.norm[i] = (struct norm){.B = r->B, .P = r->H * r->W, .C = C, .G = r->G, .gamma = r->gamma[i], .beta = r->beta[i], .W = r->W,
			.out_row = x_row, .out_image = x_image, .kernels = kernels};
		v.conv[i] = (struct conv){.B = r->B, .H = r->H, .W = r->W, .C = C, .K = r->K, .Kp = ceil_div(r->K, kernels->lanes) * kernels->lanes,
			.rows = rows, .columns = columns, .bordered = 1, .x_row = x_row, .x_image = x_image, .out = r->out, .w = r->w[i], .kernels = kernels};
		v.conv[i].terms.bias = r->bias[i];
		filters[i] = lines(36 * plane_size(C, v.conv[i].Kp));
		v.conv[i].block = block_size(filters[i]);
		size_t size = 36 * (plane_size(v.conv[i].block, C) + plane_size(v.conv[i].block, v.conv[i].Kp));
		if (size > work) work = size;
	}
	v.conv[0].terms.image = r->image;
	v.conv[1].terms.other_bias = r->other_bias;
	// As many images as fill a block of tiles; fewer where the threads would not have two such each.
	if (v.conv[1].block > rows * columns) v.images = least(v.conv[1].block / (rows * columns), ceil_div(r->B, 2 * helpers->threads));
	int items = ceil_div(r->B, v.images), threads = least(helpers->threads, items);
	for (int i = 0; i < 2; i++) v.normed_size[i] = lines(border(&v.norm[i]) + ((size_t)v.images * x_image + 1) * v.norm[i].C);
	v.middle_size = lines((size_t)v.images * r->H * r->W * r->K);
	v.statistics_size = lines((size_t)v.images * 2 * wide);
	if (r->joined) v.x_size = lines((size_t)v.images * r->H * r->W * r->C);
	if (r->skip) v.other_size = v.middle_size;
	v.scratch_size = v.normed_size[0] + v.normed_size[1] + v.middle_size + v.x_size + v.other_size + v.statistics_size + work;
	float *memory = take(filters[0] + filters[1] + threads * v.scratch_size);
	if (!memory) return 1;
	v.conv[0].U = memory;
	v.conv[1].U = memory + filters[0];
	v.scratch = memory + filters[0] + filters[1];
	if (v.conv[0].Kp > r->K) memset(memory, 0, sizeof(float) * (filters[0] + filters[1]));
	for (int t = 0; t < threads; t++)
		for (int i = 0; i < 2; i++) clear_border(&v.norm[i], v.images, v.scratch + t * v.scratch_size + i * v.normed_size[0]);
	parallel(helpers, ceil_div(r->C, ROWS) + ceil_div(r->K, ROWS), residual_filter_item, &v);
	parallel(helpers, items, residual_item, &v);
	put_back(memory);
	return 0;
}

enum { GROUPS = 4096 }; // groups of words an item of work

static void bits_item(void *context, int i, int slot) {
	const struct bits *v = context;
	(void)slot;
	size_t first = (size_t)i * GROUPS, whole = v->words / 4, end = first + GROUPS < whole ? first + GROUPS : whole;
	v->kernels->bits(v, first, end, v->out + 4 * first);
	if (first <= whole && whole < first + GROUPS && v->words % 4) {
		uint32_t last[4];
		v->kernels->bits(v, whole, whole + 1, last);
		memcpy(v->out + 4 * whole, last, sizeof(uint32_t) * (v->words % 4));
	}
}

int random_bits(const uint64_t state[3], uint64_t next[3], size_t words, uint32_t *out, const struct helpers *helpers, int at_most) {
	const struct kernels *kernels = kernels_for(MAX_CHANNELS, at_most);
	size_t groups = (words + 3) / 4;
	if (!kernels || groups > (size_t)GROUPS << 30) return 2;
	struct bits v = {state[0], {state[1], state[2]}, words, out, kernels};
	parallel(helpers, (int)((groups + GROUPS - 1) / GROUPS), bits_item, &v);
	next[0] = state[0];
	next[1] = state[1] + groups;
	next[2] = state[2] + (next[1] < groups);
	return 0;
}

struct joined_images { int P, C, K; const float *a, *b; float *out; };

static void join_item(void *context, int i, int slot) {
	const struct joined_images *v = context;
	(void)slot;
	size_t first = (size_t)i * v->P;
	const float *a = v->a + first * v->C, *b = v->b + first * v->K;
	join_pixels(v->P, v->C, v->K, a, b, v->out + first * (v->C + v->K));
}

void join(int B, int P, int C, int K, const float *a, const float *b, float *out, const struct helpers *helpers) {
	struct joined_images v = {P, C, K, a, b, out};
	parallel(helpers, B, join_item, &v);
}
