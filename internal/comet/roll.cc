#include "comet/roll.h"

#include <algorithm>
#include <limits>
#include <map>
#include <string>
#include <utility>

#include "base/threads.h"

namespace encke::comet {

namespace {

constexpr std::size_t kSlice = 2000;  // members looked at before the shard does something else

}  // namespace

// What the shards found so far.
struct Roll::Page {
  struct Found {
    std::map<std::string, std::int64_t> mids;  // by key
    bool more = false;
    std::size_t shards = 0;  // that are still looking
  };
  std::string room, after;
  std::size_t limit = 0;
  Done done;
  Guarded<Found> found;

  // True: it was the last of the shards.
  bool Add(std::vector<std::pair<std::string, std::int64_t>> members, bool last) {
    return found.With([&](Found& all) {
      for (auto& [key, mid] : members) {
        if (all.mids.size() == limit && key > all.mids.rbegin()->first) {
          all.more = true;
          continue;
        }
        all.mids.emplace(std::move(key), mid);
        if (all.mids.size() <= limit) continue;
        all.mids.erase(std::prev(all.mids.end()));
        all.more = true;
      }
      return last && --all.shards == 0;
    });
  }
};

void Roll::Ask(const MembersAsk& ask, Done done) {
  if (under_way_.fetch_add(1) >= kUnderWayMax) {
    under_way_.fetch_sub(1);
    counts_.busy.Add();
    return done({rpc::Verdict::kMayPass, "too many member lists are read at once"});
  }
  counts_.pages.Add();
  const auto page = std::make_shared<Page>();
  page->room = ask.room();
  page->after = ask.after();
  page->limit = std::clamp<std::size_t>(ask.limit(), 1, kPageMax);
  page->done = std::move(done);
  page->found.With([this](Page::Found& found) { found.shards = shards_.size(); });
  for (std::uint32_t shard = 0; shard < shards_.size(); ++shard)
    Look(page, shard, std::numeric_limits<std::size_t>::max());
}

void Roll::Look(const std::shared_ptr<Page>& page, std::uint32_t shard, std::size_t end) {
  shards_.Tell(shard, [this, page, shard, end](session::Sessions& home) {
    std::size_t at = end;
    const std::vector<hub::Slot> slots = home.hub().Members(page->room, &at, kSlice);
    std::vector<std::pair<std::string, std::int64_t>> members;
    for (const hub::Slot slot : slots) {
      std::string key = home.hub().KeyOf(slot);
      if (key > page->after) members.emplace_back(std::move(key), home.session(slot).mid);
    }
    counts_.looked_at.Add(slots.size());
    const bool last = slots.empty() || at == 0;
    const bool all = page->Add(std::move(members), last);
    if (!last) return Look(page, shard, at);
    if (!all) return;
    rpc::Answer<MembersTold> answer;
    page->found.With([&answer](Page::Found& found) {
      answer.reply.set_more(found.more);
      for (const auto& [key, mid] : found.mids) {
        Member* member = answer.reply.add_members();
        member->set_key(key);
        member->set_mid(mid);
      }
    });
    under_way_.fetch_sub(1);
    page->done(std::move(answer));
  });
}

}  // namespace encke::comet
