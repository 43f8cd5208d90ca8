#pragma once

#include <string>

#include "console/view.h"

namespace pgrevive::console {

// The Prometheus text format (0.0.4), names and units by its conventions: base units, `_total` for
// counters, moments as Unix seconds. What is not known is left out. Pure.
std::string metrics_text(const View& view, const RepositoryView& repository);

}  // namespace pgrevive::console
