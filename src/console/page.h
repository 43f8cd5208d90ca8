#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "http/server.h"

namespace pgrevive::console {

// A file of the page that the build embedded.
struct PageFile {
  std::string_view path;  // "/index.html"
  std::string_view type;  // "text/html; charset=utf-8"
  std::string_view content;
};

// All of them; none in a program that was built without Node.js. cmake/BuildPage.cmake writes it.
std::span<const PageFile> page_files();

// What is answered at that path, "/" being the page; empty: nothing of it lies there. A program
// without the page says so at "/".
std::optional<http::ServerResponse> page_response(std::string_view path);

}  // namespace pgrevive::console
