#include "presence/members.h"

#include <iterator>
#include <map>
#include <utility>

#include "base/threads.h"

namespace encke::presence {

struct Members::Page {
  struct State {
    std::map<std::string, MemberPage::One> found;  // by key
    bool more = false;
    std::size_t waiting = 0;
    Status outcome{Ok{}};
  };
  std::size_t limit = 0;
  OnPage done;
  Guarded<State> state;

  // True: it was the last answer.
  bool Add(const std::string& comet, Result<MembersTold> told) {
    return state.With([&](State& s) {
      if (!told) {
        s.outcome = Error{told.error().code, "comet " + comet + ": " + told.error().text};
        return --s.waiting == 0;
      }
      for (Member& member : *told->mutable_members())
        s.found.emplace(member.key(), MemberPage::One{member.key(), member.mid(), comet});
      s.more = s.more || told->more() || s.found.size() > limit;
      while (s.found.size() > limit)
        s.found.erase(std::prev(s.found.end()));
      return --s.waiting == 0;
    });
  }
};

void Members::Read(const std::string& room,
                   const std::string& after,
                   std::size_t limit,
                   OnPage done) {
  const auto comets = ports_.comets();
  if (!comets) {
    counts_.failed.Add();
    return done(comets.error());
  }
  if (under_way_.fetch_add(1) >= kUnderWayMax) {
    under_way_.fetch_sub(1);
    counts_.busy.Add();
    return done(Error{Errc::kOverloaded, "too many member lists are read at once"});
  }
  counts_.pages.Add();
  const auto page = std::make_shared<Page>();
  page->limit = limit;
  page->done = std::move(done);
  page->state.With([&](Page::State& s) { s.waiting = comets->size(); });
  if (comets->empty()) return Finish(page);
  MembersAsk ask;
  ask.set_room(room);
  ask.set_after(after);
  ask.set_limit(static_cast<std::uint32_t>(limit));
  for (const Instance& comet : *comets) {
    ports_.ask(comet.grpc(), ask, [this, page, id = comet.id()](Result<MembersTold> told) {
      if (page->Add(id, std::move(told))) Finish(page);
    });
  }
}

void Members::Finish(const std::shared_ptr<Page>& page) {
  Page::State end = page->state.With([](Page::State& s) { return std::move(s); });
  under_way_.fetch_sub(1);
  if (!end.outcome) {
    counts_.failed.Add();
    return page->done(end.outcome.error());
  }
  MemberPage out;
  out.more = end.more;
  for (auto& [key, one] : end.found)
    out.members.push_back(std::move(one));
  page->done(std::move(out));
}

}  // namespace encke::presence
