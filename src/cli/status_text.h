#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "cli/lookout.h"
#include "cli/progress_view.h"
#include "cluster/onlooker.h"

namespace pgrevive::cli {

// `status` for a person, at most 80 columns where the values allow it.
std::string status_text(const cluster::ClusterStatus& status);
// The same for who looks again and again, with how far the phases are and how fast, how far
// replicas were behind over time (drawn where the terminal has `blocks` for it), the source and the
// restore's log.
std::string watch_text(const cluster::Sight& sight, const Beside& beside, bool blocks);
// That of the last look, where the looks since then failed, the newest with `error`.
std::string stale_watch_text(const std::string& last, std::chrono::seconds ago,
                             const std::string& error);

// The codes that draw `text` over what stood on a terminal of that size: lines that are too long go
// on below, and what the screen has no room for is left out at the end. Pure.
std::string redraw(const std::string& text, std::size_t width, std::size_t height);

// `test` for a person and for a program.
std::string checks_text(const std::vector<cluster::Check>& checks);
std::string checks_json(const std::vector<cluster::Check>& checks);

// How wide a text is: its UTF-8 bytes that begin a character, good enough for names of databases.
std::size_t columns(const std::string& text);

// Columns as wide as their widest cell, two blanks between, no blanks at the end of a line. Cells
// of columns in `right` (by index) are moved to the right.
std::string table(const std::vector<std::vector<std::string>>& rows,
                  const std::vector<std::size_t>& right = {});

}  // namespace pgrevive::cli
