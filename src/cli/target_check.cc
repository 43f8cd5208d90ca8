#include "cli/target_check.h"

#include "base/error.h"
#include "base/text.h"
#include "cluster/target_time.h"
#include "postgres/lsn.h"

namespace pgrevive::cli {

std::string target_problem(restore::RecoveryType type, const std::string& target) {
  using restore::RecoveryType;
  switch (type) {
    case RecoveryType::time:
      try {
        cluster::parse_target_time(target);
        return "";
      } catch (const Error&) {
        return "write a time such as 2026-11-22 14:05:00+00";
      }
    case RecoveryType::lsn:
      try {
        postgres::Lsn::parse(target);
        return "";
      } catch (const Error&) {
        return "write an LSN as PostgreSQL does, such as 16/B374D848";
      }
    case RecoveryType::xid:
      return parse_unsigned(target) ? "" : "write the number of a transaction";
    case RecoveryType::latest:
    case RecoveryType::immediate:
    case RecoveryType::name:
    case RecoveryType::standby:
    case RecoveryType::none:
    case RecoveryType::preserve:
      return "";
  }
  return "";
}

}  // namespace pgrevive::cli
