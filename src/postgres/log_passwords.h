#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace pgrevive::postgres {

// A message of a server's log in which `mask` stands for what follows the word `password`, in
// whatever case:
//
//   password 'x'    also E'x', U&'x', $$x$$ and $tag$x$tag$
//   password=x      to the next space, quote, ampersand or semicolon; in quotes of one kind or two
//   "password": "x" of JSON, with its quotes as they are or escaped; with => as of hstore; and a
//                   number there
//
// and for the password of postgres://user:password@host. What is not closed goes to the end of the
// message. Pure.
std::string without_passwords(std::string_view line, std::string_view mask = "***");

// Masks a log as it is read. A statement of several lines is one message, whose further lines begin
// with a tab: the word may stand on one and what has to be masked on the next.
class LogMask {
 public:
  using Mask = std::function<std::string(std::string_view)>;
  explicit LogMask(Mask mask = [](std::string_view text) { return without_passwords(text); })
      : mask_(std::move(mask)) {}

  // Whole lines, as they may be shown. Further lines of a message that began in an earlier text
  // belong to it; those of one whose beginning was never there are left out.
  std::string add(std::string_view lines);

 private:
  std::string shown_message() const;

  Mask mask_;
  std::string message_;  // the last so far; empty: none, or it is longer than is remembered
};

}  // namespace pgrevive::postgres
