#pragma once

#include <string>
#include <utility>

namespace pgrevive {

// A password, key or passphrase. It has no << and no conversion to string, so that it reaches a
// log, a message or an argument list only where someone writes reveal().
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string text) : text_(std::move(text)) {}

  const std::string& reveal() const { return text_; }
  bool empty() const { return text_.empty(); }
  bool operator==(const Secret&) const = default;

 private:
  std::string text_;
};

// `bytes` random bytes from the system, as URL-safe text.
Secret make_secret(int bytes = 24);

}  // namespace pgrevive
