#include "timeline/history.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <thread>
#include <utility>

#include "base/threads.h"

namespace encke::timeline {

// One thread that may wait for NATS.
class History::Worker {
 public:
  // run(false): it will not be done any more.
  using Work = std::function<void(bool run)>;

  Worker() : thread_([this] { Run(); }) {}
  ~Worker() {
    stopping_ = true;
    pulse_.Stop();
    thread_.join();
    for (const Work& work : waiting_.With([](auto& all) { return std::move(all); }))
      work(false);
  }
  // False: too many wait.
  bool Add(Work work) {
    const bool taken = waiting_.With([&](auto& all) {
      if (all.size() >= kWaitingMax) return false;
      all.push_back(std::move(work));
      return true;
    });
    if (taken) pulse_.Wake();
    return taken;
  }

 private:
  void Run() {
    NameThread("history");
    while (pulse_.Wait(Duration(1000))) {
      for (Work work = Take(); work; work = Take())
        work(true);
    }
  }
  // Null: none waits, or none is to be begun any more.
  Work Take() {
    return waiting_.With([this](auto& all) -> Work {
      if (stopping_ || all.empty()) return nullptr;
      Work first = std::move(all.front());
      all.pop_front();
      return first;
    });
  }

  std::atomic<bool> stopping_{false};
  Guarded<std::deque<Work>> waiting_;
  Pulse pulse_;
  std::thread thread_;
};

History::History(store::Timelines& timelines, const TimelinePlan& plan, ArchivePorts archive)
    : timelines_(timelines),
      plan_(plan),
      archive_(std::move(archive)),
      worker_(archive_ ? std::make_unique<Worker>() : nullptr) {}

History::~History() = default;

bool History::Durable(const std::string& name) const {
  return worker_ != nullptr && plan_.Of(name)->durable.has_value();
}

void History::Page(const HistoryQuery& query, const OnPage& done) {
  const KeptOptions* kept = plan_.Of(query.timeline);
  if (kept == nullptr) return done(Error{Errc::kNotFound, "nothing is kept there"});
  if (query.after_ms == 0 && query.before_ms == 0) return Read(query, done);
  timelines_.ReadHead(query.timeline, kept->hot.age, "", [this, query, done](const auto& head) {
    if (!head) return done(head.error());
    Locate(query, *head, done);
  });
}

// A time becomes a number.
void History::Locate(const HistoryQuery& query, const Head& head, const OnPage& done) {
  const std::int64_t time_ms = query.after_ms > 0 ? query.after_ms : query.before_ms;
  const auto go_on = [this, query, done](std::uint64_t before) {
    HistoryQuery numbered = query;
    (query.after_ms > 0 ? numbered.after_seq : numbered.before_seq) =
        query.after_ms > 0 ? before : before + 1;
    Read(numbered, done);
  };
  const auto in_archive = [this, query, head, done, time_ms, go_on] {
    const bool now = query.epoch == 0 || query.epoch == head.epoch;
    const bool taken = worker_->Add([this, query, head, done, time_ms, go_on, now](bool run) {
      if (!run) return done(Error{Errc::kClosed, "history stops"});
      Archive::Spans spans = Archive::SpansOf(head);
      std::uint64_t newest = head.oldest > 0 ? head.oldest - 1 : head.newest;
      if (!now || head.newest == 0) {
        const auto last = archive_.FindNewest(query.timeline, query.epoch);
        if (!last) return done(last.error());
        spans = {{last->epoch}};
        newest = last->seq;
      }
      const auto before = archive_.FindTime(query.timeline, spans, newest, time_ms);
      before ? go_on(*before) : done(before.error());
    });
    if (!taken) done(Error{Errc::kOverloaded, "too many wait for history"});
  };
  if (query.epoch != 0 && query.epoch != head.epoch) {
    return Durable(query.timeline) ? in_archive() : go_on(0);
  }
  timelines_.FindTime(query.timeline, time_ms,
                      [this, query, done, go_on, in_archive](const Result<std::uint64_t>& before) {
                        if (!before) return done(before.error());
                        *before == 0 && Durable(query.timeline) ? in_archive() : go_on(*before);
                      });
}

void History::Read(const HistoryQuery& query, const OnPage& done) {
  store::Timelines::Range range;
  range.after = query.after_seq;
  range.before = query.before_seq;
  range.limit = query.limit;
  range.newest_first = query.newest_first;
  timelines_.Read(query.timeline, plan_.Of(query.timeline)->hot.age, range,
                  [this, query, done](Result<store::TimelinePage> page) {
                    if (!page) return done(page.error());
                    if (query.epoch != 0 && query.epoch != page->head.epoch) {
                      page->entries.clear();
                      page->more = false;
                      page->head = Head{};
                    }
                    Extend(query, std::move(*page), done);
                  });
}

// What Redis has no longer comes from the archive.
void History::Extend(const HistoryQuery& query, store::TimelinePage page, const OnPage& done) {
  const bool whole = query.newest_first
                         ? page.more || page.entries.size() >= query.limit || page.head.oldest == 1
                         : page.head.oldest > 0 && query.after_seq + 1 >= page.head.oldest;
  // Its reader has all there was, and an older epoch is none of its business.
  const bool begins = query.reader != 0 && page.head.newest == 0 &&
                      page.head.Continues(query.reader, query.after_seq);
  if (whole || begins || !Durable(query.timeline)) return done(std::move(page));
  auto kept = std::make_shared<store::TimelinePage>(std::move(page));
  const bool taken = worker_->Add([this, query, kept, done](bool run) {
    if (!run) return done(Error{Errc::kClosed, "history stops"});
    done(Older(query, std::move(*kept)));
  });
  if (!taken) done(Error{Errc::kOverloaded, "too many wait for history"});
}

Result<store::TimelinePage> History::Older(const HistoryQuery& query,
                                           store::TimelinePage page) const {
  std::uint64_t newest = page.head.oldest > 0 ? page.head.oldest - 1 : page.head.newest;
  if (page.head.newest == 0) {  // Redis knows nothing of it
    const auto last = archive_.FindNewest(query.timeline, query.epoch);
    if (!last) return last.error();
    if (last->seq == 0) return page;
    // It began after Redis was asked: all of it is there.
    if (page.head.epoch != 0 && last->epoch >= page.head.epoch) page.head.oldest = 1;
    page.head.epoch = last->epoch;
    page.head.newest = newest = last->seq;
  }
  std::uint64_t from = query.after_seq + 1;
  std::uint64_t to = newest;
  if (query.newest_first) {
    from = query.before_seq > 0 ? std::min(query.before_seq - 1, newest) : newest;
    to = 1;
  }
  if (newest == 0 || from == 0 || (!query.newest_first && from > to)) return page;
  const std::size_t wanted = query.limit - (query.newest_first ? page.entries.size() : 0);
  auto older = archive_.Read(query.timeline, Archive::SpansOf(page.head), from, to, wanted);
  if (!older) return older.error();
  if (!query.newest_first) {
    if (older->empty()) return page;  // the archive has forgotten it, too
    page.entries.clear();             // those of Redis come with the next page
  }
  std::move(older->begin(), older->end(), std::back_inserter(page.entries));
  const std::uint64_t last = page.entries.empty() ? 0 : page.entries.back().seq;
  page.more = query.newest_first ? last > 1 : last < page.head.newest;
  return page;
}

void History::Purge(const std::string& name, std::uint64_t upto, const OnDone& done) {
  const KeptOptions* kept = plan_.Of(name);
  if (kept == nullptr) return done(Error{Errc::kNotFound, "nothing is kept there"});
  timelines_.Purge(name, upto, [this, name, upto, kept, done](const Status& purged) {
    if (!purged || !Durable(name)) return done(purged);
    timelines_.ReadHead(name, kept->hot.age, "", [this, name, upto, done](const auto& head) {
      if (!head) return done(head.error());
      Archive::Spans spans = Archive::SpansOf(*head);
      if (head->newest == 0) spans[0].epoch = 0;  // Redis knows nothing of it
      const bool taken = worker_->Add([this, name, upto, done, spans](bool run) {
        done(run ? archive_.Purge(name, spans, upto) : Error{Errc::kClosed, "history stops"});
      });
      if (!taken) done(Error{Errc::kOverloaded, "too many wait for history"});
    });
  });
}

}  // namespace encke::timeline
