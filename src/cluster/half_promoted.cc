#include "cluster/half_promoted.h"

namespace pgrevive::cluster {

bool half_promoted(const postgres::ControlFile& control, postgres::Timeline line) {
  using State = postgres::ControlFile::State;
  const bool recovering =
      control.state == State::in_archive_recovery || control.state == State::shut_down_in_recovery;
  // The new timeline is later than the one that was followed.
  return recovering && control.minimum_recovery_timeline <= line;
}

}  // namespace pgrevive::cluster
