#include "console/page.h"

#include <algorithm>

namespace pgrevive::console {

std::optional<http::ServerResponse> page_response(std::string_view path) {
  const auto files = page_files();
  const auto found = std::ranges::find(files, path == "/" ? "/index.html" : path, &PageFile::path);
  if (found != files.end())
    return http::ServerResponse{.type = std::string(found->type),
                                .body = std::string(found->content)};
  if (path != "/") return {};
  return http::ServerResponse{
      .body =
          "This pgrevive was built without its page, for which the build needs Node.js, npm "
          "and, the first time, the network.\nEverything on it is in /api/v1/openapi.json and "
          "/metrics.\n"};
}

}  // namespace pgrevive::console
