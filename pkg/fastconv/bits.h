// The kernel of random bits: Philox4x32-10 ([philox]) as XLA's RngBitGenerator computes it, bit for bit. The i-th group of four
// words is a function of the key and of counter+i, 128 bits long. Included after winograd.h.
//
// A lane of 64 bits holds one word of one counter in its lower half; what stands in the upper half is left over.

typedef uint64_t FN(lanes) __attribute__((vector_size(4 * VL)));

// Groups first to end of the words, to out[4·first] and on.
static void FN(bits)(const struct bits *v, size_t first, size_t end, uint32_t *out) {
	enum { EACH = VL / 2 };
	const FN(lanes) none = {0}, low = none + 0xffffffffu, start = none + v->counter[0];
	uint64_t words[2][EACH];
	for (int j = 0; j < EACH; j++) words[0][j] = j;
	FN(lanes) ahead;
	memcpy(&ahead, words[0], sizeof ahead);
	for (size_t i = first; i < end; i += EACH) {
		FN(lanes) a = start + i + ahead, b = v->counter[1] - (FN(lanes))(a < start); // a comparison that holds is -1
		FN(lanes) c0 = a, c1 = a >> 32, c2 = b, c3 = b >> 32;
		uint32_t k0 = (uint32_t)v->key, k1 = (uint32_t)(v->key >> 32);
		for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
			FN(lanes) p = WIDE_PRODUCT(c0, 0xD2511F53u), q = WIDE_PRODUCT(c2, 0xCD9E8D57u);
			c0 = (q >> 32) ^ c1 ^ k0;
			c1 = q;
			c2 = (p >> 32) ^ c3 ^ k1;
			c3 = p;
		}
		a = (c0 & low) | c1 << 32;
		b = (c2 & low) | c3 << 32;
		memcpy(words[0], &a, sizeof a);
		memcpy(words[1], &b, sizeof b);
		uint32_t *to = out + 4 * (i - first);
		size_t n = end - i < EACH ? end - i : EACH;
		for (size_t j = 0; j < n; j++) {
			memcpy(to + 4 * j, &words[0][j], 8);
			memcpy(to + 4 * j + 2, &words[1][j], 8);
		}
	}
}

const struct kernels FN(kernels) = {VL, FN(filters), FN(apply), FN(product), FN(few), FN(half), FN(one), FN(accumulate), FN(unfilters), FN(norm_forward), FN(norm_backward), FN(bits)};

#undef VEC
#undef LOAD
#undef STORE
#undef INLINE
