#include "codec/sha1_kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include "codec/sha1_rounds.h"

namespace pgrevive::codec {
namespace {

struct Vector {
  static constexpr int kWidth = kSha1Avx2Width;
  __m256i value;

  static Vector load(const std::uint32_t* from) {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))};
  }
  void store(std::uint32_t* to) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), value);
  }
  static Vector all(std::uint32_t word) { return {_mm256_set1_epi32(static_cast<int>(word))}; }

  template <int n>
  Vector rotate() const {
    return {_mm256_or_si256(_mm256_slli_epi32(value, n), _mm256_srli_epi32(value, 32 - n))};
  }

  static void words(const std::byte* const* data, std::size_t offset, Vector* four);
};

Vector operator+(Vector a, Vector b) { return {_mm256_add_epi32(a.value, b.value)}; }
Vector operator^(Vector a, Vector b) { return {_mm256_xor_si256(a.value, b.value)}; }

Vector choose(Vector b, Vector c, Vector d) {
  return {_mm256_xor_si256(d.value, _mm256_and_si256(b.value, (c ^ d).value))};
}
Vector majority(Vector b, Vector c, Vector d) {
  return {_mm256_or_si256(_mm256_and_si256(b.value, c.value),
                          _mm256_and_si256(d.value, _mm256_or_si256(b.value, c.value)))};
}
Vector parity(Vector b, Vector c, Vector d) { return b ^ c ^ d; }

__m128i half(const std::byte* from) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}

// Row i has in its two halves 16 bytes each of the streams i and i + 4, so that the 4 x 4 words
// inside the halves are all that is left to transpose.
void Vector::words(const std::byte* const* data, std::size_t offset, Vector* four) {
  const __m256i swap = _mm256_set_epi32(0x0c0d0e0f, 0x08090a0b, 0x04050607, 0x00010203, 0x0c0d0e0f,
                                        0x08090a0b, 0x04050607, 0x00010203);
  __m256i row[4];
  for (int i = 0; i < 4; ++i) {
    row[i] = _mm256_castsi128_si256(half(data[i] + offset));
    row[i] = _mm256_inserti128_si256(row[i], half(data[i + 4] + offset), 1);
    row[i] = _mm256_shuffle_epi8(row[i], swap);
  }
  const __m256i low01 = _mm256_unpacklo_epi32(row[0], row[1]);
  const __m256i low23 = _mm256_unpacklo_epi32(row[2], row[3]);
  const __m256i high01 = _mm256_unpackhi_epi32(row[0], row[1]);
  const __m256i high23 = _mm256_unpackhi_epi32(row[2], row[3]);
  four[0] = {_mm256_unpacklo_epi64(low01, low23)};
  four[1] = {_mm256_unpackhi_epi64(low01, low23)};
  four[2] = {_mm256_unpacklo_epi64(high01, high23)};
  four[3] = {_mm256_unpackhi_epi64(high01, high23)};
}

}  // namespace

void sha1_blocks_avx2(std::uint32_t* words, const std::byte* const* data, std::size_t blocks) {
  sha1_lane_blocks<Vector>(words, data, blocks);
}

}  // namespace pgrevive::codec

#endif
