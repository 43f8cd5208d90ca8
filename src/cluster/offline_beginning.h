#pragma once

#include <optional>

#include "base/error.h"
#include "repository/repository.h"

// An offline backup says nothing of WAL and is whole without any; the checkpoint in its pg_control
// says from where the archive leads on.
namespace pgrevive::cluster {

// The backup with that place as its WAL and as the LSN it is consistent at. Reads the manifest, and
// pg_control out of the backup. Empty where the backup has no such file that can be read by itself.
std::optional<repository::Backup> with_beginning(const repository::Repository& repository,
                                                 const repository::BackupInfo& info,
                                                 const repository::Backup& offline);

// Of a backup of with_beginning() where the archive does not have what follows it.
Error lacks_what_follows(const repository::Backup& backup);

}  // namespace pgrevive::cluster
