# The console's page: TypeScript that Vite makes into a few files, which are compiled into the program.
# They are made at build time, with npm's packages of src/console/page/package-lock.json. Without
# npm, or where its registry cannot be reached, the program is built all the same and says that it
# has no page, unless the page is required.
set(PGREVIVE_PAGE ON CACHE STRING "Build the console's page: ON, if it can be had; REQUIRED; OFF")

# Adds the page to the module `console`.
function(pgrevive_page)
  set(source ${PROJECT_SOURCE_DIR}/src/console/page)
  set(place ${PROJECT_BINARY_DIR}/page)
  set(embedded ${place}/page_files.cc)
  # Only there where the page is what it is meant to be, so that the next build tries again after one
  # without network.
  set(settled ${place}/settled)
  find_program(NPM npm)
  set(required OFF)
  if(PGREVIVE_PAGE STREQUAL "REQUIRED")
    set(required ON)
  elseif(PGREVIVE_PAGE AND NOT NPM)
    message(STATUS "npm is not there, so the console will have no page (scripts/install-packages.sh page)")
  endif()
  if(NOT NPM OR NOT (required OR PGREVIVE_PAGE))
    set(NPM "")
  endif()
  file(GLOB_RECURSE inputs CONFIGURE_DEPENDS ${source}/src/*)
  list(APPEND inputs ${source}/.npmrc ${source}/index.html ${source}/package.json
    ${source}/package-lock.json ${source}/tsconfig.json ${source}/vite.config.ts)
  add_custom_command(OUTPUT ${embedded} ${settled}
    COMMAND ${CMAKE_COMMAND} -D SOURCE=${source} -D PLACE=${place} "-D NPM=${NPM}"
      -D REQUIRED=${required} -D EMBEDDED=${embedded} -D SETTLED=${settled}
      -P ${PROJECT_SOURCE_DIR}/cmake/BuildPage.cmake
    DEPENDS ${inputs} ${PROJECT_SOURCE_DIR}/cmake/BuildPage.cmake
      ${PROJECT_SOURCE_DIR}/cmake/Literal.cmake
    COMMENT "Building the console's page" VERBATIM)
  # A target of its own needs nothing of ours that comes before the console.
  add_custom_target(page DEPENDS ${embedded})
  add_dependencies(console page)
  target_sources(console PRIVATE ${embedded})
  if(PGREVIVE_TESTS)
    pgrevive_pageless_test(${source})
  endif()
endfunction()

# What a program without the page is and says, tested in every build: the module with what the step
# above embeds where there is no npm. A definition of its own keeps the other one out of the link.
function(pgrevive_pageless_test source)
  set(place ${PROJECT_BINARY_DIR}/without_page)
  add_custom_command(OUTPUT ${place}/page_files.cc
    COMMAND ${CMAKE_COMMAND} -D SOURCE=${source} -D PLACE=${place} -D NPM=
      -D EMBEDDED=${place}/page_files.cc -D SETTLED=${place}/settled
      -P ${PROJECT_SOURCE_DIR}/cmake/BuildPage.cmake
    DEPENDS ${PROJECT_SOURCE_DIR}/cmake/BuildPage.cmake VERBATIM)
  add_executable(without_page_tests ${place}/page_files.cc
    ${PROJECT_SOURCE_DIR}/tests/unit/without_page/page_test.cc)
  target_link_libraries(without_page_tests PRIVATE console pgrevive_settings GTest::gmock_main)
  target_compile_options(without_page_tests PRIVATE -O0)
  gtest_discover_tests(without_page_tests TEST_PREFIX console. NO_PRETTY_VALUES
    DISCOVERY_TIMEOUT 60 PROPERTIES LABELS unit TIMEOUT 60)

  # Where it is required there is no build without it, be it npm that is missing or what npm fetches.
  foreach(case NoNpm: NoPackages:/bin/false)
    string(REGEX MATCH "^([A-Za-z]+):(.*)" _ ${case})
    set(name console.PageRequired.FailsWith${CMAKE_MATCH_1})
    set(place ${PROJECT_BINARY_DIR}/page_required/${CMAKE_MATCH_1})
    add_test(NAME ${name}
      COMMAND ${CMAKE_COMMAND} -D SOURCE=${source} -D PLACE=${place} -D NPM=${CMAKE_MATCH_2}
        -D REQUIRED=ON -D EMBEDDED=${place}/page_files.cc -D SETTLED=${place}/settled
        -P ${PROJECT_SOURCE_DIR}/cmake/BuildPage.cmake)
    set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 60
      PASS_REGULAR_EXPRESSION "CMake Error.*the console's page")
  endforeach()
endfunction()

# Adds the API's description to it.
function(pgrevive_api)
  set(source ${PROJECT_SOURCE_DIR}/src/console/openapi.json)
  set(embedded ${PROJECT_BINARY_DIR}/openapi.cc)
  add_custom_command(OUTPUT ${embedded}
    COMMAND ${CMAKE_COMMAND} -D SOURCE=${source} -D EMBEDDED=${embedded}
      -P ${PROJECT_SOURCE_DIR}/cmake/EmbedApi.cmake
    DEPENDS ${source} ${PROJECT_SOURCE_DIR}/cmake/EmbedApi.cmake
      ${PROJECT_SOURCE_DIR}/cmake/Literal.cmake
    COMMENT "Embedding the API's description" VERBATIM)
  target_sources(console PRIVATE ${embedded})
endfunction()
