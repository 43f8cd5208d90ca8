#pragma once

#include <string_view>

namespace pgrevive::console {

// A file of the page that the build embedded.
struct PageFile {
  std::string_view path;  // "/index.html"
  std::string_view type;  // "text/html; charset=utf-8"
  std::string_view content;
};

// Null if there is none, as in a program that was built without Node.js.
const PageFile* find_page_file(std::string_view path);

}  // namespace pgrevive::console
