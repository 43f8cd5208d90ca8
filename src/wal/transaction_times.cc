#include "wal/transaction_times.h"

#include <algorithm>

#include "wal/transaction_record.h"

namespace pgrevive::wal {

std::size_t TransactionTimes::wanted(ByteView header) {
  return ends_transaction(header) ? kTransactionHeadSize : 0;
}

void TransactionTimes::record(postgres::Lsn /*begin*/, postgres::Lsn end, ByteView bytes) {
  if (end > until_ || !ends_transaction(bytes)) return;
  const auto at = main_data_at(bytes);
  const auto time = at ? time_at(bytes, *at) : std::nullopt;
  if (!time) return;
  if (!times_) times_ = {.first = *time, .last = *time, .latest = *time, .last_commit = {}};
  times_->last = *time;
  times_->latest = std::max(times_->latest, *time);
  if (commits(bytes)) times_->last_commit = *time;
}

}  // namespace pgrevive::wal
