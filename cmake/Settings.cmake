# Compile settings that every target of ours links, and nothing third-party does.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

add_library(pgrevive_settings INTERFACE)
target_compile_options(pgrevive_settings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Woverloaded-virtual
  -Wimplicit-fallthrough -Wno-missing-field-initializers $<$<BOOL:${PGREVIVE_DEV}>:-Werror>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  # What GCC 12 concludes from its own optimizing is wrong too often, of std::optional and std::string
  # before all. The debug build has all warnings.
  target_compile_options(pgrevive_settings INTERFACE -Wno-array-bounds -Wno-maybe-uninitialized
    -Wno-restrict -Wno-stringop-overflow -Wno-stringop-overread)
endif()
if(PGREVIVE_SANITIZE)
  target_compile_options(pgrevive_settings INTERFACE
    -fsanitize=${PGREVIVE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(pgrevive_settings INTERFACE -fsanitize=${PGREVIVE_SANITIZE})
endif()
if(PGREVIVE_FUZZ)
  target_compile_options(pgrevive_settings INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(PGREVIVE_COVERAGE)
  target_compile_options(pgrevive_settings INTERFACE --coverage -fprofile-update=atomic)
  target_link_options(pgrevive_settings INTERFACE --coverage)
endif()
# In every build: an index outside of what it indexes ends the program, it does not become data.
target_compile_definitions(pgrevive_settings INTERFACE _GLIBCXX_ASSERTIONS)

# pgrevive_precompile(<target> <header>...): parses these once for all files of the target. Not
# beside a compiler cache, which does better without, and which so shows what a file forgot to include.
function(pgrevive_precompile target)
  if(NOT CMAKE_CXX_COMPILER_LAUNCHER)
    target_precompile_headers(${target} PRIVATE ${ARGN})
  endif()
endfunction()
