#include "codec/sha1_kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include "codec/sha1_rounds.h"

namespace pgrevive::codec {
namespace {

struct Vector {
  static constexpr int kWidth = kSha1Avx512Width;
  __m512i value;

  static Vector load(const std::uint32_t* from) { return {_mm512_loadu_si512(from)}; }
  void store(std::uint32_t* to) const { _mm512_storeu_si512(to, value); }
  static Vector all(std::uint32_t word) { return {_mm512_set1_epi32(static_cast<int>(word))}; }

  template <int n>
  Vector rotate() const {
    return {_mm512_rol_epi32(value, n)};
  }

  static void words(const std::byte* const* data, std::size_t offset, Vector* four);
};

Vector operator+(Vector a, Vector b) { return {_mm512_add_epi32(a.value, b.value)}; }
Vector operator^(Vector a, Vector b) { return {_mm512_xor_si512(a.value, b.value)}; }

// The third argument is the truth table: bit 4b + 2c + d of it.
Vector choose(Vector b, Vector c, Vector d) {
  return {_mm512_ternarylogic_epi32(b.value, c.value, d.value, 0xca)};
}
Vector majority(Vector b, Vector c, Vector d) {
  return {_mm512_ternarylogic_epi32(b.value, c.value, d.value, 0xe8)};
}
Vector parity(Vector b, Vector c, Vector d) {
  return {_mm512_ternarylogic_epi32(b.value, c.value, d.value, 0x96)};
}

__m128i quarter(const std::byte* from) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}

// Row i has in its four quarters 16 bytes each of the streams i, i + 4, i + 8 and i + 12, so that
// the 4 x 4 words inside the quarters are all that is left to transpose.
void Vector::words(const std::byte* const* data, std::size_t offset, Vector* four) {
  const __m512i swap = _mm512_set4_epi32(0x0c0d0e0f, 0x08090a0b, 0x04050607, 0x00010203);
  __m512i row[4];
  for (int i = 0; i < 4; ++i) {
    row[i] = _mm512_castsi128_si512(quarter(data[i] + offset));
    row[i] = _mm512_inserti32x4(row[i], quarter(data[i + 4] + offset), 1);
    row[i] = _mm512_inserti32x4(row[i], quarter(data[i + 8] + offset), 2);
    row[i] = _mm512_inserti32x4(row[i], quarter(data[i + 12] + offset), 3);
    row[i] = _mm512_shuffle_epi8(row[i], swap);
  }
  const __m512i low01 = _mm512_unpacklo_epi32(row[0], row[1]);
  const __m512i low23 = _mm512_unpacklo_epi32(row[2], row[3]);
  const __m512i high01 = _mm512_unpackhi_epi32(row[0], row[1]);
  const __m512i high23 = _mm512_unpackhi_epi32(row[2], row[3]);
  four[0] = {_mm512_unpacklo_epi64(low01, low23)};
  four[1] = {_mm512_unpackhi_epi64(low01, low23)};
  four[2] = {_mm512_unpacklo_epi64(high01, high23)};
  four[3] = {_mm512_unpackhi_epi64(high01, high23)};
}

}  // namespace

void sha1_blocks_avx512(std::uint32_t* words, const std::byte* const* data, std::size_t blocks) {
  sha1_lane_blocks<Vector>(words, data, blocks);
}

}  // namespace pgrevive::codec

#endif
