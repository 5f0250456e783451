#include "timeline/asks.h"

#include <algorithm>
#include <utility>

#include "base/threads.h"

namespace encke::timeline {

namespace {

bool MayPass(Errc code) {
  return code != Errc::kInvalid && code != Errc::kNotFound && code != Errc::kConflict;
}

Reply Begin(const Request& request) {
  Reply reply;
  reply.set_id(request.id());
  return reply;
}

// Collects the heads of one question; the last one in answers it.
class HeadTally {
 public:
  HeadTally(const Request& request, Asks::Answer done) : done_(std::move(done)) {
    state_.With([&](State& s) {
      s.reply = Begin(request);
      s.missing = request.heads().timelines_size();
      for (const std::string& name : request.heads().timelines())
        s.reply.mutable_heads()->add_heads()->set_timeline(name);
    });
  }

  void Take(int i, const Result<store::TimelineHead>& head, bool kept, Counter* failed) {
    const bool last = state_.With([&](State& s) {
      Head* out = s.reply.mutable_heads()->mutable_heads(i);
      if (!head) {
        s.reply.set_error(head.error().text);
        s.reply.set_retry(true);
      } else {
        out->set_kept(kept);
        out->set_epoch(head->epoch);
        out->set_seq(head->newest);
        out->set_oldest(head->oldest);
        out->set_cursor(head->cursor);
      }
      return --s.missing == 0;
    });
    if (!last) return;
    Reply reply = state_.With([](State& s) { return std::move(s.reply); });
    if (!reply.error().empty()) {
      failed->Add();
      reply.clear_heads();
    }
    done_(std::move(reply));
  }

 private:
  struct State {
    Reply reply;
    int missing = 0;
  };
  Guarded<State> state_;
  const Asks::Answer done_;
};

// The numbers asked about are gone: of another epoch, or older than what is kept.
bool MustReload(const Fetch& ask, const store::TimelinePage& page) {
  if (ask.epoch() == 0) return false;  // it knows nothing yet
  if (!page.head.Continues(ask.epoch(), ask.after())) return true;
  if (ask.after() >= page.head.newest) return false;
  if (!page.entries.empty() && page.entries[0].seq == ask.after() + 1) return false;
  return page.head.oldest == 0 || ask.after() + 1 < page.head.oldest;
}

// After a change of epoch: what both epochs share was heard already.
std::uint64_t GoOnBehind(const Fetch& ask, const store::TimelineHead& head) {
  const std::uint64_t heard = std::min(ask.after(), head.SharedWith(ask.epoch()).value_or(0));
  return std::max(heard, head.oldest > 0 ? head.oldest - 1 : head.newest);
}

}  // namespace

Asks::Asks(store::Timelines& timelines,
           History& history,
           const TimelinePlan& plan,
           Publisher publish)
    : timelines_(timelines), history_(history), plan_(plan), publish_(std::move(publish)) {}

void Asks::Ask(const Request& request, const Answer& done) {
  switch (request.ask_case()) {
    case Request::kHeads:
      counts_.heads.Add();
      return AskHeads(request, done);
    case Request::kFetch:
      counts_.fetches.Add();
      return AskFetch(request, done);
    case Request::kCursor:
      counts_.cursors.Add();
      return AskCursor(request, done);
    case Request::kPublish:
      counts_.publishes.Add();
      return publish_(request, [id = request.id(), done](Reply reply) {
        reply.set_id(id);
        done(std::move(reply));
      });
    case Request::ASK_NOT_SET:
      break;
  }
  Refuse(request.id(), {Errc::kInvalid, "ask: of a kind this logic does not know"}, done);
}

void Asks::Refuse(std::uint64_t id, const Error& error, const Answer& done) {
  const bool retry = MayPass(error.code);
  (retry ? counts_.failed : counts_.refused).Add();
  Reply reply;
  reply.set_id(id);
  reply.set_error(error.text);
  reply.set_retry(retry);
  done(std::move(reply));
}

const KeptOptions* Asks::Kept(const Request& request, const std::string& name) const {
  if (IsInbox(name) && OwnerOf(name).value() != request.mid()) return nullptr;
  return plan_.Of(name);
}

void Asks::AskHeads(const Request& request, const Answer& done) {
  const auto& names = request.heads().timelines();
  if (names.size() > kHeadsMax) {
    return Refuse(request.id(), {Errc::kInvalid, "timelines: more than 1000"}, done);
  }
  if (names.empty()) {
    Reply reply = Begin(request);
    reply.mutable_heads();
    return done(std::move(reply));
  }
  auto tally = std::make_shared<HeadTally>(request, done);
  for (int i = 0; i < names.size(); ++i) {
    const KeptOptions* kept = Kept(request, names[i]);
    if (kept == nullptr) {
      tally->Take(i, store::TimelineHead(), false, &counts_.failed);
      continue;
    }
    timelines_.ReadHead(names[i], kept->hot.age, IsInbox(names[i]) ? request.device() : "",
                        [this, tally, i](const Result<store::TimelineHead>& head) {
                          tally->Take(i, head, true, &counts_.failed);
                        });
  }
}

void Asks::AskFetch(const Request& request, const Answer& done) {
  const Fetch& ask = request.fetch();
  const KeptOptions* kept = Kept(request, ask.timeline());
  if (kept == nullptr) {
    return Refuse(request.id(), {Errc::kNotFound, "timeline: is none, or not yours"}, done);
  }
  const auto answer = [this, request, done](Result<store::TimelinePage> page) {
    page ? AnswerFetch(request, std::move(*page), done) : Refuse(request.id(), page.error(), done);
  };
  const std::size_t limit = ask.limit() == 0 ? 100 : std::min(ask.limit(), kPushesMax);
  // Who knows nothing yet begins with what is hot; who was away long may need what is older.
  if (ask.epoch() != 0 && kept->durable) {
    HistoryQuery query;
    query.timeline = ask.timeline();
    query.after_seq = ask.after();
    query.reader = ask.epoch();
    query.limit = limit;
    return history_.Page(query, answer);
  }
  store::Timelines::Range range;
  range.after = ask.after();
  range.limit = limit;
  timelines_.Read(ask.timeline(), kept->hot.age, range, answer);
}

void Asks::AnswerFetch(const Request& request, store::TimelinePage page, const Answer& done) {
  const Fetch& ask = request.fetch();
  Reply reply = Begin(request);
  Fetched* out = reply.mutable_fetched();
  out->set_timeline(ask.timeline());
  out->set_epoch(page.head.epoch);
  out->set_newest(page.head.newest);
  out->set_oldest(page.head.oldest);
  out->set_reload(MustReload(ask, page));
  // Numbers of another epoch say nothing about where to go on.
  const bool other = ask.epoch() != 0 && !page.head.Continues(ask.epoch(), ask.after());
  out->set_more(other ? page.head.oldest > 0 : page.more);
  if (other) out->set_through(GoOnBehind(ask, page.head));
  for (store::TimelineEntry& entry : page.entries)
    if (!other) out->add_pushes(Numbered(std::move(entry.payload), page.head.epoch, entry.seq));
  if (out->reload()) counts_.reloads.Add();
  counts_.pushes.Add(static_cast<std::uint64_t>(out->pushes_size()));
  done(std::move(reply));
}

void Asks::AskCursor(const Request& request, const Answer& done) {
  if (request.mid() <= 0 || request.device().empty()) {
    return Refuse(request.id(), {Errc::kInvalid, "device: a cursor needs a user and a device"},
                  done);
  }
  const std::string inbox = InboxOf(Mid(request.mid()));
  timelines_.Acknowledge(
      {inbox, request.device(), request.cursor().epoch(), request.cursor().seq()},
      plan_.inbox.hot.age, [this, id = request.id(), done](const Status& status) {
        if (!status) return Refuse(id, status.error(), done);
        Reply reply;
        reply.set_id(id);
        reply.set_ok(true);
        done(std::move(reply));
      });
}

}  // namespace encke::timeline
