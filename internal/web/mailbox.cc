#include <ev.h>
#include <unistd.h>

#include "web/http_shared.h"

namespace encke::web {

void Mailbox::Open(struct ev_loop* loop, struct ev_async* bell) {
  state_.With([&](State& state) {
    state.loop = loop;
    state.bell = bell;
    state.thread = std::this_thread::get_id();
    // What was put before the loop ran is found by its first look; nobody has to ring.
  });
}

void Mailbox::Close() {
  const Post left = state_.With([](State& state) {
    state.shut = true;
    state.loop = nullptr;
    return std::exchange(state.post, Post());
  });
  for (const NewSocket& socket : left.sockets) {
    close(socket.fd);
  }
}

template <class F>
bool Mailbox::Add(F&& add) {
  // The bell is rung under the lock: after Close nobody touches the loop any more.
  return state_.With([&](State& state) {
    if (state.shut) return false;
    const bool was_empty = state.post.empty();
    add(state.post);
    const bool own = state.thread == std::this_thread::get_id();
    if (was_empty && !own && state.loop != nullptr) ev_async_send(state.loop, state.bell);
    return true;
  });
}

bool Mailbox::Put(Answer answer) {
  return Add([&](Post& post) { post.answers.push_back(std::move(answer)); });
}

bool Mailbox::Put(NewSocket socket) {
  return Add([&](Post& post) { post.sockets.push_back(std::move(socket)); });
}

bool Mailbox::PutStop() {
  return Add([](Post& post) { post.stop = true; });
}

Mailbox::Post Mailbox::TakeAll() {
  return state_.With([](State& state) { return std::exchange(state.post, Post()); });
}

Responder::Impl::~Impl() {
  if (sent.exchange(true)) return;
  mailbox->Put(Answer{connection, number, {500, "text/plain; charset=utf-8", "no answer", {}}});
}

void Responder::Send(HttpReply reply) const {
  if (impl_->sent.exchange(true)) return;
  impl_->mailbox->Put(Answer{impl_->connection, impl_->number, std::move(reply)});
}

}  // namespace encke::web
