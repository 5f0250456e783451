#pragma once
// AskTable: questions to logic that wait for an answer: handed out, said again on a new stream,
// answered or given up.  Event has an id(); Connect and Request do.
//
// Owner    LogicQueue.
// Thread   none of its own.
// Limit    events_max questions, bytes_max of them together; batches_max batches under way, while
//          others gather.  With a rate, also what is handed out a second, as many waiting as
//          kPatienceS seconds can hand out, and a batch in kGatherUs unless kGatherMost wait.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/metrics.h"

namespace encke::uplink {

template <class Event>
class AskTable {
 public:
  AskTable(std::size_t events_max, std::size_t bytes_max, std::size_t batches_max)
      : events_max_(events_max), bytes_max_(bytes_max), batches_max_(batches_max) {}

  static constexpr double kPatienceS = 5;  // whoever would wait longer is refused at once
  // A batch is under way until all of it is answered, and for so long at most.
  static constexpr std::int64_t kBatchUs = 250'000;
  static constexpr std::int64_t kGatherUs = 50'000;
  static constexpr std::size_t kGatherMost = 64;

  // So many are handed out per second, after a burst of a tenth of it; 0 = no limit.
  void SetRate(double per_second) {
    rate_ = per_second;
    tokens_ = Burst();
  }

  bool Put(Event event, std::int64_t now_us) {
    if (asks_.size() >= events_max_ || bytes_ >= bytes_max_) return false;
    if (rate_ > 0 && static_cast<double>(unsent_.size()) >= rate_ * kPatienceS) return false;
    const std::uint64_t id = event.id();
    bytes_ += Cost(event);
    unsent_.push_back(id);
    asked_.push_back({id, now_us});
    asks_[id] = {std::move(event), now_us, 0};
    return true;
  }

  // Something waits, and may be handed out now.
  bool Ready(std::int64_t now_us) {
    Refill(now_us);
    while (!under_way_.empty() && under_way_.front().sent_us < now_us - kBatchUs)
      under_way_.pop_front();
    if (unsent_.empty() || under_way_.size() >= batches_max_) return false;
    const bool gathering = now_us < gather_until_us_ && unsent_.size() < kGatherMost;
    return rate_ == 0 || (tokens_ >= 1 && !gathering);
  }

  // One batch, until *bytes reaches batch_bytes; nothing when not Ready.
  template <class Field>
  void Fill(
      Field* out, std::int64_t now_us, std::size_t batch_bytes, std::size_t* bytes, Counter* said) {
    if (!Ready(now_us)) return;
    Batch batch{++batches_, now_us, 0};
    while (!unsent_.empty() && *bytes < batch_bytes && (rate_ == 0 || tokens_ >= 1)) {
      const std::uint64_t id = unsent_.front();
      unsent_.pop_front();
      const auto at = asks_.find(id);
      if (at == asks_.end()) continue;
      tokens_ -= 1;
      at->second.sent_us = now_us;
      at->second.batch = batch.number;
      ++batch.unanswered;
      sent_.push_back({id, now_us});
      *out->Add() = at->second.event;
      *bytes += Cost(at->second.event);
      said->Add();
    }
    if (batch.unanswered == 0) return;
    under_way_.push_back(batch);
    gather_until_us_ = now_us + kGatherUs;
  }

  // The stream is a new one: all of it is to be said again.
  void Restart() {
    unsent_.clear();
    sent_.clear();
    under_way_.clear();
    gather_until_us_ = 0;
    for (const Mark& mark : asked_) {
      const auto at = asks_.find(mark.id);
      if (at == asks_.end() || at->second.asked_us != mark.at_us) continue;
      at->second.sent_us = 0;
      unsent_.push_back(mark.id);
    }
  }

  // Microseconds from Put to now; nullopt: nobody asked, or it was given up.
  std::optional<std::int64_t> Answered(std::uint64_t id, std::int64_t now_us) {
    const auto at = asks_.find(id);
    if (at == asks_.end()) return std::nullopt;
    const std::int64_t waited = now_us - at->second.asked_us;
    Forget(at);
    return waited;
  }

  // How long the oldest one that was handed out has been unanswered.
  std::int64_t SilenceUs(std::int64_t now_us) {
    while (!sent_.empty()) {
      const auto at = asks_.find(sent_.front().id);
      if (at != asks_.end() && at->second.sent_us == sent_.front().at_us) {
        return now_us - sent_.front().at_us;
      }
      sent_.pop_front();
    }
    return 0;
  }

  // Gives up those asked before then; answers their ids.
  std::vector<std::uint64_t> GiveUp(std::int64_t asked_before_us) {
    std::vector<std::uint64_t> given_up;
    while (!asked_.empty()) {
      const auto at = asks_.find(asked_.front().id);
      if (at != asks_.end() && at->second.asked_us == asked_.front().at_us) {
        if (at->second.asked_us >= asked_before_us) break;
        given_up.push_back(at->first);
        Forget(at);
      }
      asked_.pop_front();
    }
    // Without a stream nobody else takes them out.
    while (!unsent_.empty() && !asks_.contains(unsent_.front()))
      unsent_.pop_front();
    return given_up;
  }

  std::size_t waiting() const { return asks_.size(); }
  bool all_said() const { return unsent_.empty(); }

 private:
  struct Ask {
    Event event;
    std::int64_t asked_us = 0;
    std::int64_t sent_us = 0;  // 0 = not yet
    std::uint64_t batch = 0;
  };
  struct Batch {
    std::uint64_t number;
    std::int64_t sent_us;
    std::size_t unanswered;
  };
  struct Mark {  // valid while asks_ still has the id with this time
    std::uint64_t id;
    std::int64_t at_us;
  };

  double Burst() const { return std::max(1.0, rate_ / 10); }
  void Refill(std::int64_t now_us) {
    const auto passed_us = static_cast<double>(std::max<std::int64_t>(0, now_us - filled_us_));
    tokens_ = std::min(Burst(), tokens_ + rate_ * passed_us / 1e6);
    filled_us_ = now_us;
  }

  // Its bytes, and something for an empty one.
  static std::size_t Cost(const Event& event) { return event.ByteSizeLong() + 8; }
  void Forget(typename std::unordered_map<std::uint64_t, Ask>::iterator ask) {
    bytes_ -= Cost(ask->second.event);
    std::erase_if(under_way_, [&](Batch& batch) {
      return batch.number == ask->second.batch && --batch.unanswered == 0;
    });
    asks_.erase(ask);
  }

  const std::size_t events_max_;
  const std::size_t bytes_max_;
  const std::size_t batches_max_;
  std::unordered_map<std::uint64_t, Ask> asks_;
  double rate_ = 0;  // per second; 0 = no limit
  double tokens_ = 1;
  std::int64_t filled_us_ = 0;
  std::int64_t gather_until_us_ = 0;
  std::deque<std::uint64_t> unsent_;
  std::deque<Mark> asked_, sent_;  // in order of time; entries of answered ones are skipped
  std::deque<Batch> under_way_;
  std::uint64_t batches_ = 0;  // so far
  std::size_t bytes_ = 0;
};

}  // namespace encke::uplink
