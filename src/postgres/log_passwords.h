#pragma once

#include <string>
#include <string_view>

namespace pgrevive::postgres {

// A line of a server's log in which `mask` stands for what follows the word `password`, in whatever
// case:
//
//   password 'x'    also E'x', U&'x', $$x$$ and $tag$x$tag$
//   password=x      to the next space, quote, ampersand or semicolon; in quotes of one kind or two
//   "password": "x" of JSON, with its quotes as they are or escaped; with => as of hstore; and a
//                   number there
//
// What is not closed goes to the end of the line. Pure.
std::string without_passwords(std::string_view line, std::string_view mask = "***");

}  // namespace pgrevive::postgres
