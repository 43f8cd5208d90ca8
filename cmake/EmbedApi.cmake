# Run at build time with -D SOURCE=<openapi.json> -D EMBEDDED=<file to write>: writes the API's
# description as C++. What is no JSON fails here, by line, and not before a browser.
cmake_minimum_required(VERSION 3.25)
include(${CMAKE_CURRENT_LIST_DIR}/Literal.cmake)

file(READ ${SOURCE} text)
string(JSON version ERROR_VARIABLE wrong GET "${text}" openapi)
if(wrong)
  message(FATAL_ERROR "${SOURCE}: ${wrong}")
endif()
cpp_literal(literal ${SOURCE})
file(WRITE ${EMBEDDED} "#include <string_view>\n\n#include \"console/console.h\"\n\n"
  "namespace pgrevive::console {\n\n"
  "std::string openapi_text() { return std::string(${literal}); }\n\n"
  "}  // namespace pgrevive::console\n")
