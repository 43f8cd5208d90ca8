#pragma once

#include <array>

#include "base/notice.h"

namespace pgrevive::cluster {

// All that a supervisor warns of, beside what a restore does (restore/notices.h). The console's
// page says each in Portuguese (words.ts).
inline constexpr auto kNotices = std::to_array<NoticeWords>({
    // Before and while it is restored and recovered.
    {"locale_missing",
     "the locale {locale} is not here, and without it nobody can connect to {databases}; install "
     "the locale {locale}"},
    {"locale_missing_in_debian",
     "the locale {locale} is not here, and without it nobody can connect to {databases}; install "
     "the locale {locale} (Debian: package locales, the line '{line}' in /etc/locale.gen, "
     "locale-gen)"},
    {"locale_missing_in_image",
     "the locale {locale} is not here, and without it nobody can connect to {databases}; add the "
     "locale {locale} to those of DOCKER_LOCALES (docker/README.md) and build the image anew "
     "(docker compose build postgres-cluster-restore)"},
    {"line_beside", "timeline {beside} goes on beside timeline {timeline} from {lsn} to {end}"},
    {"line_beside_until",
     "timeline {beside} goes on beside timeline {timeline} from {lsn} to {end}, newest transaction "
     "{time}"},
    {"line_followed",
     "timeline {newer} was opened while timeline {timeline} was recovered: the source failed over; "
     "recovery follows it from {lsn}"},
    {"line_not_followed",
     "timeline {newer} was opened meanwhile and is not followed: it left at {left}, and recovery "
     "was at {lsn} already; for that one start anew with RECOVERY_TARGET_TIMELINE={newer}"},
    {"offline_backup_alone", "the offline backup is all that is recovered: {error}"},
    {"tablespace_made",
     "the WAL of the source makes a tablespace in {place}, which this host did not have: the "
     "directory was made, and goes with the cluster"},
    {"tablespace_kept", "kept {error}"},
    {"tablespace_apart",
     "the WAL of the source made a tablespace in {place}, where the primary has it now; {node} is "
     "copied from the primary, with a place of its own for it"},

    // What came along of the source's databases.
    {"subscription_removed", "subscription {subscription} was removed: its database was left out"},
    {"subscription_disabled",
     "subscription {subscription} in database {database} was disabled: it belongs to the source"},
    {"left_out_empty",
     "left out, empty and of no use: {databases}; remove them with DROP DATABASE, or set "
     "DB_DROP_LEFT_OUT=true and restart"},
    {"left_out_stays", "database {database} was left out and cannot be dropped: {error}"},
    {"setting_serializable",
     "{whose}: {setting} = serializable: no query works with it on a replica"},
    {"setting_library",
     "{whose}: {setting} names what is not installed here ({libraries}): no session begins with "
     "it"},
    {"foreign_workers",
     "background workers that are not PostgreSQL's own run here as they did on the source: "
     "{workers}; see that they do nothing that production does"},
    {"login_triggers",
     "event triggers of the source run when a client logs in, in {databases}; pgrevive's own "
     "sessions do not run them. If they tell others, ALTER EVENT TRIGGER ... DISABLE, or ALTER "
     "SYSTEM SET event_triggers = off"},
    {"md5_passwords",
     "roles with MD5 passwords cannot log in until their passwords are set anew: {roles}"},
    {"prepared_transactions",
     "{count} prepared transactions came with the backup and hold their locks; see "
     "pg_prepared_xacts"},
    {"rows_misplaced",
     "database {database}: rows of {partition} belong into another partition by the collation of "
     "this host; move them (delete and insert again)"},
    {"rows_not_looked_at",
     "database {database}: whether rows of {table} belong into another partition by the collation "
     "of this host was not looked at: it is partitioned by functions of roles that are no "
     "superusers, which are not run here as one"},

    // Archiving, and replicas.
    {"archiving_not_set_up", "{error}"},
    {"first_backup_failed", "the first backup into the cluster's own archive failed: {error}"},
    {"own_backup_unknown",
     "whether there is a backup in the cluster's own archive is not known: {error}"},
    {"copied_unasked", "{node} is copied from the primary: not from the backup, because {error}"},
    {"copied_instead",
     "{node} is copied from the primary: the backup could not be restored, because {error}"},
    {"copied_in_the_end",
     "{node} was restored from backup {backup}; it did not join and is copied from the primary "
     "instead: {error}"},

    // What runs beside the servers.
    {"console_exposed",
     "the console listens on {address} (CONSOLE_LISTEN), port {port}, over plain HTTP: whoever "
     "reaches it may look, and a token that is sent to it can be read on the way"},
    {"program_dies", "{program} dies again and again: {error}"},
    {"program_does_not_start", "{program} does not start: {error}"},
    {"adminer_off", "Adminer is off: {error}"},
    {"adminer_no_php", "Adminer is off: there is no php (Debian package php-cli)"},
    {"adminer_not_installed", "Adminer is off: it is not installed (Debian package adminer)"},
    {"adminer_no_pgsql",
     "Adminer is off: PHP cannot talk to PostgreSQL (Debian package php-pgsql)"},
    {"adminer_no_ipv4",
     "Adminer is off: it reaches servers over IPv4 only, and LISTEN_ADDRESSES has none"},
});

template <typename... Values>
Notice notice(NoticeKind<kNotices, sizeof...(Values)> kind, const Values&... values) {
  return make_notice(kind.words(), {std::string_view(values)...});
}

}  // namespace pgrevive::cluster
