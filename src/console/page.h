#pragma once

#include <span>
#include <string_view>

namespace pgrevive::console {

// A file of the page that the build embedded.
struct PageFile {
  std::string_view path;  // "/index.html"
  std::string_view type;  // "text/html; charset=utf-8"
  std::string_view content;
};

// All of them; none in a program that was built without Node.js. cmake/BuildPage.cmake writes it.
std::span<const PageFile> page_files();

// Null if there is none.
const PageFile* find_page_file(std::string_view path);

}  // namespace pgrevive::console
