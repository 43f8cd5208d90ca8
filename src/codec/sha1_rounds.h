#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

// SHA-1 (FIPS 180-4, 6.1.2) over vectors whose lanes are independent streams. Vector has
//
//   static constexpr int kWidth;              streams
//   Vector load(const uint32_t*), store(uint32_t*), all(uint32_t)
//   Vector operator+, operator^
//   Vector rotate<n>()
//   choose(b, c, d), majority(b, c, d), parity(b, c, d)
//   static void words(const std::byte* const* data, std::size_t offset, Vector* four)
//                                             the next four big-endian words of each stream
//
// and lives in an unnamed namespace, so that what is made from these templates for one CPU is never
// taken by the linker for another.
namespace pgrevive::codec {

template <typename Vector>
struct Sha1Rounds {
  Vector state[5];
  Vector message[16];  // a ring: word t of the schedule stands at t % 16

  template <int t>
  [[gnu::always_inline]] inline void round() {
    constexpr std::uint32_t kConstants[] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
    // The five variables keep their places and change their names from round to round.
    constexpr int kA = (80 - t) % 5;
    const Vector a = state[kA];
    Vector& b = state[(kA + 1) % 5];
    const Vector c = state[(kA + 2) % 5];
    const Vector d = state[(kA + 3) % 5];
    Vector& e = state[(kA + 4) % 5];

    if constexpr (t >= 16) {
      const Vector mixed = parity(message[(t + 13) % 16], message[(t + 8) % 16],
                                  message[(t + 2) % 16] ^ message[t % 16]);
      message[t % 16] = mixed.template rotate<1>();
    }
    Vector mix;
    if constexpr (t < 20) {
      mix = choose(b, c, d);
    } else if constexpr (t >= 40 && t < 60) {
      mix = majority(b, c, d);
    } else {
      mix = parity(b, c, d);
    }
    // What does not need `a` is added first: `a` comes last from the round before.
    e = ((e + Vector::all(kConstants[t / 20])) + message[t % 16]) + mix;
    e = e + a.template rotate<5>();
    b = b.template rotate<30>();
  }

  template <int... t>
  [[gnu::always_inline]] inline void rounds(std::integer_sequence<int, t...>) {
    (round<t>(), ...);
  }
};

template <typename Vector>
[[gnu::always_inline]] inline void sha1_lane_blocks(std::uint32_t* words,
                                                    const std::byte* const* data,
                                                    std::size_t blocks) {
  Sha1Rounds<Vector> block;
  for (int i = 0; i < 5; ++i) block.state[i] = Vector::load(words + i * Vector::kWidth);
  for (std::size_t offset = 0; offset < blocks * 64; offset += 64) {
    Vector before[5];
    for (int i = 0; i < 5; ++i) before[i] = block.state[i];
    for (int i = 0; i < 16; i += 4) {
      Vector::words(data, offset + static_cast<std::size_t>(i) * 4, block.message + i);
    }
    block.rounds(std::make_integer_sequence<int, 80>());
    for (int i = 0; i < 5; ++i) block.state[i] = block.state[i] + before[i];
  }
  for (int i = 0; i < 5; ++i) block.state[i].store(words + i * Vector::kWidth);
}

}  // namespace pgrevive::codec
