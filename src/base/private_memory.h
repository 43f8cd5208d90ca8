#pragma once

namespace pgrevive {

// From now on no core dump of this process is written, and no other process of its user can look
// into its memory or environment, which hold passphrases and keys: a restored server runs as the
// same user, and its superusers read what that user reads. An exec ends it, and so does a change of
// the effective user or group, as far as fs.suid_dumpable says: whoever makes one calls this again.
// Async-signal-safe.
void keep_memory_private();

}  // namespace pgrevive
