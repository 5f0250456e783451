// encke-crowd: many clients of version 2 over TCP that write one line per callback.
//
// usage: encke-crowd SPEC OUT
//
// Commands on standard input: "talk" begins the publishing, "quiet" ends it, its end ends all.
//
// SPEC has a line per client: id mid publish_ms addresses rooms (the lists with commas); with
// publish_ms > 0 it says something to its first room so often.  Lines of OUT begin with the
// monotonic clock in microseconds and the client's id:
//   U                       connected            D why             not any more
//   J room epoch seq        the head it was told
//   P room epoch seq body   a push               R room            reload
//   L room count            lost outside timelines
//   S room body             it published         A body code       ... and was answered

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include <poll.h>
#include <unistd.h>

#include "clients/cpp/client.h"

namespace {

using encke::client::Client;

std::int64_t NowUs() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::vector<std::string> Split(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, ',');)
    parts.push_back(part);
  return parts;
}

struct Spec {
  std::string id, addresses, rooms;
  std::int64_t mid = 0, publish_ms = 0;
};

class Member {
 public:
  Member(const Spec& spec, std::FILE* out)
      : id_(spec.id), room_(Split(spec.rooms).front()), every_ms_(spec.publish_ms), out_(out) {
    const std::string mid = std::to_string(spec.mid);
    client_ = std::make_unique<Client>(
        encke::client::ClientOptions{
            .addresses = Split(spec.addresses),
            .token = R"({"mid":)" + mid + R"(,"key":"k)" + mid +
                     R"(","room_id":"","platform":"chaos","accepts":[1000]})",
            .device = "d" + mid,
            .answer_ms = 4'000,
            .backoff_max_ms = 2'000,
            .seed = static_cast<std::uint32_t>(spec.mid)},
        Events());
    for (const std::string& room : Split(spec.rooms))
      client_->Join(room);
  }

  Client& client() { return *client_; }

  void Tick(std::int64_t now_ms, bool talk) {
    client_->Tick(now_ms);
    if (now_ms >= acknowledge_at_ms_) {
      acknowledge_at_ms_ = now_ms + 1'000;
      client_->Acknowledge();
    }
    if (every_ms_ == 0 || !talk || !client_->up() || now_ms < say_at_ms_) return;
    say_at_ms_ = now_ms + every_ms_;
    const std::string body = "c" + id_ + "." + std::to_string(++said_);
    encke::client::Publish publish;
    publish.set_room(room_);
    publish.set_client_id(body);
    publish.set_op(1000);
    publish.set_body(body);
    publish.set_stored(true);
    Line("S " + room_ + " " + body);  // before: others may hear it at once
    client_->Say(publish);
  }

 private:
  Client::Events Events() {
    return {.push =
                [this](const encke::client::Push& push) {
                  Line("P " + (push.room().empty() ? "-" : push.room()) + " " +
                       std::to_string(push.epoch()) + " " + std::to_string(push.seq()) + " " +
                       push.body());
                },
            .reload = [this](const std::string& room) { Line("R " + room); },
            .lost =
                [this](const encke::client::Gap& gap) {
                  Line("L " + gap.room() + " " + std::to_string(gap.lost()));
                },
            .up = [this](const encke::client::ConnectReply& reply) { OnUp(reply); },
            .down = [this](const std::string& why) { Line("D " + why); },
            .published =
                [this](const encke::client::PublishReply& reply) {
                  Line("A " + reply.client_id() + " " + std::to_string(reply.error().code()));
                }};
  }

  void OnUp(const encke::client::ConnectReply& reply) {
    Line("U");
    const auto head = [this](const encke::client::Joined& joined) {
      if (joined.known())
        Line("J " + joined.room() + " " + std::to_string(joined.epoch()) + " " +
             std::to_string(joined.seq()));
    };
    head(reply.inbox());
    for (const encke::client::Joined& joined : reply.rooms())
      head(joined);
  }

  void Line(const std::string& words) {
    std::fprintf(out_, "%lld %s %s\n", static_cast<long long>(NowUs()), id_.c_str(), words.c_str());
  }

  const std::string id_, room_;
  const std::int64_t every_ms_;
  std::FILE* const out_;
  std::unique_ptr<Client> client_;
  std::int64_t acknowledge_at_ms_ = 0, say_at_ms_ = 0, said_ = 0;
};

std::vector<std::unique_ptr<Member>> Members(const char* path, std::FILE* out) {
  std::vector<std::unique_ptr<Member>> members;
  std::ifstream in(path);
  for (Spec spec; in >> spec.id >> spec.mid >> spec.publish_ms >> spec.addresses >> spec.rooms;)
    members.push_back(std::make_unique<Member>(spec, out));
  return members;
}

// False: nobody wants us any more.
bool Listen(bool* talk) {
  char word[64];
  const ssize_t n = ::read(STDIN_FILENO, word, sizeof word);
  *talk = n > 0 && word[0] == 't';
  return n > 0;
}

void Run(std::vector<std::unique_ptr<Member>>& members, std::FILE* out) {
  std::vector<pollfd> polled;
  std::int64_t tick_at_ms = 0;
  for (bool talk = false;;) {
    polled.assign(1, {STDIN_FILENO, POLLIN, 0});
    for (const auto& member : members)
      polled.push_back({member->client().fd(), member->client().events(), 0});
    ::poll(polled.data(), polled.size(), 50);
    if (polled[0].revents != 0 && !Listen(&talk)) return;
    for (std::size_t i = 0; i < members.size(); ++i)
      if (polled[i + 1].revents != 0) members[i]->client().OnReady();
    const std::int64_t now_ms = NowUs() / 1000;
    if (now_ms < tick_at_ms) continue;
    tick_at_ms = now_ms + 50;
    for (const auto& member : members)
      member->Tick(now_ms, talk);
    std::fflush(out);
  }
}

}  // namespace

int main(int count, char** words) {
  if (count != 3) return 2;
  std::FILE* out = std::fopen(words[2], "w");
  if (out == nullptr) return 1;
  auto members = Members(words[1], out);
  Run(members, out);
  std::fclose(out);
  return 0;
}
