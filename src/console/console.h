#pragma once

#include <stop_token>
#include <string>

#include "cluster/state_directory.h"

namespace pgrevive::console {

// Serves the cluster's page, its API and its metrics where CONSOLE_LISTEN and CONSOLE_PORT say, in
// a container on kContainerConsolePort of all its addresses, until asked to stop; then the process
// may end at once. Throws Error{busy} where the port is taken.
void serve(const cluster::StateDirectory& directory, const std::stop_token& stop);

// The API's description, as /api/v1/openapi.json has it: console/openapi.json, which the build
// embeds. tests/functional/test_console.py compares it with what is answered.
std::string openapi_text();

}  // namespace pgrevive::console
