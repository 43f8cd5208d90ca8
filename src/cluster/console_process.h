#pragma once

#include <optional>
#include <string>

#include "base/notice.h"
#include "cluster/settings.h"
#include "cluster/side_process.h"
#include "cluster/state_directory.h"

// The console's process, as the supervisor keeps it: this program itself as `serve-console`, which
// outlives a supervisor that fails, so that the page can say why. `stop` ends it.
namespace pgrevive::cluster {

SideProgram console_program(const StateDirectory& directory);
Command console_command(const StateDirectory& directory);

// What changes the cluster through the console has to bring along: the content of that file. Empty
// where no console was ever there.
std::filesystem::path console_token_file(const StateDirectory& directory);
std::optional<Secret> read_console_token(const StateDirectory& directory);
// The same; made if it is not there. For the cluster's owner, whose file it has to be.
Secret console_token(const StateDirectory& directory);

// Where a browser on this host finds it; empty: it is off.
std::string console_url(const Settings& settings);

// What has to be said of a console that others than this host may reach; empty where it is off or
// only this host does. Pure.
std::optional<Notice> console_exposure(const Settings& settings);
// Whether a warning is one of those.
bool tells_of_exposure(const Notice& notice);

}  // namespace pgrevive::cluster
