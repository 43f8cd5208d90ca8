include(GoogleTest)

# pgrevive_module(<name> [DEPENDS <module>...] [LIBRARIES <target>...])
#
# One folder of src/, one static library, one unit-test executable. The tests link the module and
# nothing else of ours, so a call into an undeclared module fails to link; the layering test reports
# an undeclared #include by file.
function(pgrevive_module name)
  cmake_parse_arguments(PARSE_ARGV 1 M "" "" "DEPENDS;LIBRARIES")
  foreach(dependency IN LISTS M_DEPENDS)
    if(NOT TARGET ${dependency})
      message(FATAL_ERROR "${name} depends on ${dependency}, which is not below it")
    endif()
  endforeach()

  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${name}/*.cc)
  list(FILTER sources EXCLUDE REGEX "/main\\.cc$")
  if(NOT sources)  # a module that is still only headers
    file(WRITE ${PROJECT_BINARY_DIR}/empty_${name}.cc "")
    set(sources ${PROJECT_BINARY_DIR}/empty_${name}.cc)
  endif()
  add_library(${name} STATIC ${sources})
  set_target_properties(${name} PROPERTIES LINKER_LANGUAGE CXX OUTPUT_NAME pgrevive_${name})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(${name} PUBLIC ${M_DEPENDS} ${M_LIBRARIES} PRIVATE pgrevive_settings)
  if(NOT name STREQUAL spool)  # a handful of files, which link nothing
    set(common <algorithm> <chrono> <filesystem> <functional> <map> <memory> <optional> <stop_token>
      <string> <vector> <fmt/format.h>)
    if(nlohmann_json::nlohmann_json IN_LIST M_LIBRARIES)
      list(APPEND common <nlohmann/json.hpp>)
    endif()
    # Not CLI11: what it has at namespace scope is made in every file that sees it, used or not.
    pgrevive_precompile(${name} ${common})
  endif()

  file(GLOB_RECURSE tests CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/unit/${name}/*.cc)
  if(PGREVIVE_TESTS AND tests)
    add_executable(${name}_tests ${tests})
    target_include_directories(${name}_tests PRIVATE ${PROJECT_SOURCE_DIR}/tests)
    target_link_libraries(${name}_tests PRIVATE ${name} pgrevive_settings GTest::gmock_main)
    target_compile_definitions(${name}_tests PRIVATE
      TEST_DATA_DIR="${PROJECT_SOURCE_DIR}/tests/data")
    # Whatever the program is built with: they are compiled more often than they are run.
    target_compile_options(${name}_tests PRIVATE -O0)
    pgrevive_precompile(${name}_tests <algorithm> <filesystem> <functional> <map> <optional> <string>
      <vector> <gmock/gmock.h> <gtest/gtest.h>)
    gtest_discover_tests(${name}_tests TEST_PREFIX ${name}. NO_PRETTY_VALUES
      DISCOVERY_TIMEOUT 60 PROPERTIES LABELS unit TIMEOUT 60)
  endif()

  string(REPLACE ";" " " uses "${name} ${M_DEPENDS}")
  set_property(GLOBAL APPEND PROPERTY PGREVIVE_LAYERS "${name}: ${uses}")
endfunction()

# pgrevive_program(<name> <module>): the executable whose main.cc lies in the module's folder.
function(pgrevive_program name module)
  if(NOT EXISTS ${PROJECT_SOURCE_DIR}/src/${module}/main.cc)
    return()
  endif()
  add_executable(${name} ${PROJECT_SOURCE_DIR}/src/${module}/main.cc)
  target_link_libraries(${name} PRIVATE ${module} pgrevive_settings)
endfunction()

# Registers the test that compares every #include with the DEPENDS lists.
function(pgrevive_layering_test)
  get_property(modules GLOBAL PROPERTY PGREVIVE_LAYERS)
  set(text "")
  foreach(module IN LISTS modules)
    string(APPEND text "${module}\n")
  endforeach()
  file(WRITE ${PROJECT_BINARY_DIR}/layers.txt "${text}")
  add_test(NAME layering COMMAND ${CMAKE_COMMAND}
    -D SOURCE_DIR=${PROJECT_SOURCE_DIR}/src -D LAYERS=${PROJECT_BINARY_DIR}/layers.txt
    -P ${PROJECT_SOURCE_DIR}/cmake/CheckLayers.cmake)
endfunction()
