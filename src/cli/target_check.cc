#include "cli/target_check.h"

#include "base/error.h"
#include "base/text.h"
#include "cli/natural_time.h"
#include "cluster/target_time.h"
#include "postgres/lsn.h"

namespace pgrevive::cli {

std::string read_target_text(restore::RecoveryType type, std::string& target,
                             std::chrono::system_clock::time_point now) {
  using restore::RecoveryType;
  switch (type) {
    case RecoveryType::time:
      try {
        target = cluster::with_zone(natural_time(target, now));
        return "";
      } catch (const Error& error) {
        return std::string(error.what()) + "; " + error.hint();
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
