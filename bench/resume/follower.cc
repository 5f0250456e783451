#include "resume/follower.h"

#include <cstdlib>
#include <utility>

#include <poll.h>
#include <sys/epoll.h>

namespace encke::bench {

Follower::Follower(client::ClientOptions options, std::string room)
    : room_(std::move(room)),
      client_(std::move(options),
              {.push =
                   [this](const client::Push& push) {
                     received_.Take(std::strtoull(push.body().c_str(), nullptr, 10));
                   },
               .reload = [this](const std::string&) { ++received_.reloads; },
               .down =
                   [this](const std::string&) {
                     lost_ = true;
                     ++ends_;
                     up_us_ = resumed_us_ = 0;
                   }}) {
  client_.Join(room_);
}

void Follower::Mark() {
  lost_ = false;
  up_us_ = resumed_us_ = 0;
}

void Follower::Tick(std::int64_t now_us) {
  client_.Tick(now_us / 1000);
  Look(now_us);
}

void Follower::OnReady(std::int64_t now_us) {
  client_.OnReady();
  Look(now_us);
}

void Follower::Look(std::int64_t now_us) {
  if (up_us_ == 0 && client_.up()) up_us_ = now_us;
  if (resumed_us_ == 0 && live()) resumed_us_ = now_us;
}

std::uint32_t Follower::wanted() const {
  return EPOLLIN | ((client_.events() & POLLOUT) != 0 ? EPOLLOUT : 0U);
}

}  // namespace encke::bench
