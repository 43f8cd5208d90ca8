#include "base/secret.h"

#include <cerrno>
#include <cstddef>
#include <vector>

#include <sys/random.h>

#include "base/error.h"

namespace pgrevive {
namespace {

std::vector<unsigned char> random_bytes(std::size_t count) {
  std::vector<unsigned char> bytes(count);
  std::size_t have = 0;
  while (have < count) {
    const ssize_t got = ::getrandom(bytes.data() + have, count - have, 0);
    if (got > 0) {
      have += static_cast<std::size_t>(got);
    } else if (errno != EINTR) {
      throw system_error(errno, "cannot get random bytes");
    }
  }
  return bytes;
}

// Base64 of RFC 4648 section 5, without padding.
std::string url_safe(const std::vector<unsigned char>& bytes) {
  constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string text;
  text.reserve(bytes.size() * 4 / 3 + 3);
  unsigned bits = 0;
  int count = 0;
  for (const unsigned char byte : bytes) {
    bits = (bits << 8 | byte) & 0xffff;
    count += 8;
    while (count >= 6) {
      count -= 6;
      text += kAlphabet[bits >> count & 63];
    }
  }
  if (count > 0) text += kAlphabet[bits << (6 - count) & 63];
  return text;
}

}  // namespace

Secret make_secret(int bytes) {
  return Secret(url_safe(random_bytes(static_cast<std::size_t>(bytes))));
}

}  // namespace pgrevive
