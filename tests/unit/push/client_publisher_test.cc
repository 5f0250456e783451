#include "push/client_publisher.h"

#include <vector>

#include <gtest/gtest.h>

namespace encke::push {
namespace {

class ClientPublisherTest : public ::testing::Test {
 protected:
  static ClientPublishOptions Options() {
    ClientPublishOptions options;
    options.types = {"group"};
    options.body_bytes_max = 10;
    return options;
  }
  static Request Saying(const std::string& room, const std::string& client_id = "c1") {
    Request request;
    request.set_mid(5);
    request.set_key("k");
    request.mutable_publish()->set_room(room);
    request.mutable_publish()->set_op(1000);
    request.mutable_publish()->set_body("hi");
    request.mutable_publish()->set_client_id(client_id);
    request.mutable_publish()->set_stored(true);
    return request;
  }
  std::string Ask(const Request& request) {
    replies.clear();
    publisher.Ask(request, [this](Reply reply) { replies.push_back(std::move(reply)); });
    return replies.empty() ? "nothing yet" : replies[0].error();
  }

  std::vector<Push> pushes;
  std::vector<OnAccepted> accepts;
  std::vector<Reply> replies;
  std::string told;
  ClientPublisher publisher{Options(),
                            [this](Push push, OnAccepted done) {
                              pushes.push_back(std::move(push));
                              accepts.push_back(std::move(done));
                            },
                            [this](std::string_view type, const PushMsg& push) {
                              told += std::string(type) + " " + push.room() + " " + push.msg() +
                                      " from " + std::to_string(push.from_mid()) + " #" +
                                      std::to_string(push.seq()) + "\n";
                            }};
};

TEST_F(ClientPublisherTest, BackendsHearOfWhatWasAccepted) {
  Ask(Saying("group://1"));
  Ask(Saying("group://2"));
  EXPECT_EQ(told, "");
  accepts[0](Accepted{pushes[0].id, 123, {{"group://1", 9, 4}}, 0, false});
  accepts[1](Error{Errc::kTimeout, "lost"});
  EXPECT_EQ(told, "group group://1 hi from 5 #4\n");
}

TEST_F(ClientPublisherTest, ItIsAnsweredWhenItIsStored) {
  EXPECT_EQ(Ask(Saying("group://1")), "nothing yet");
  ASSERT_EQ(pushes.size(), 1u);
  EXPECT_EQ(pushes[0].rooms[0].value(), "group://1");
  EXPECT_EQ(pushes[0].from_mid, 5);
  EXPECT_EQ(pushes[0].client_id, "c1");
  EXPECT_TRUE(pushes[0].again);
  accepts[0](Accepted{pushes[0].id, 123, {{"group://1", 9, 4}}, 0, false});
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_EQ(replies[0].published().seq(), 4u);
  EXPECT_EQ(replies[0].published().epoch(), 9u);
  EXPECT_EQ(replies[0].published().time_us(), 123);
  EXPECT_EQ(replies[0].published().push_id(), pushes[0].id);
}

TEST_F(ClientPublisherTest, OrAtOnceWhenItDoesNotCare) {
  Request request = Saying("group://1");
  request.mutable_publish()->set_stored(false);
  EXPECT_EQ(Ask(request), "");
  EXPECT_EQ(replies[0].published().push_id(), pushes[0].id);
  accepts[0](Error{Errc::kTimeout, "lost"});
  EXPECT_EQ(replies.size(), 1u);
  EXPECT_EQ(publisher.counts().failed.value(), 1u);
}

TEST_F(ClientPublisherTest, ARepeatHasTheSameId) {
  Ask(Saying("group://1"));
  Ask(Saying("group://1"));
  Ask(Saying("group://1", "c2"));
  Ask(Saying("group://2"));
  Ask(Saying("group://1", ""));
  Ask(Saying("group://1", ""));
  EXPECT_EQ(pushes[0].id, pushes[1].id);
  EXPECT_NE(pushes[0].id, pushes[2].id);
  EXPECT_NE(pushes[0].id, pushes[3].id);
  EXPECT_NE(pushes[4].id, pushes[5].id);
  EXPECT_FALSE(pushes[4].again);
}

TEST_F(ClientPublisherTest, AUsersInboxKeepsIt) {
  Request request = Saying("");
  request.mutable_publish()->set_to_mid(7);
  Ask(request);
  ASSERT_EQ(pushes.size(), 1u);
  EXPECT_EQ(pushes[0].to, To::kMids);
  EXPECT_TRUE(pushes[0].keep);
}

TEST_F(ClientPublisherTest, WhatIsWrongIsNamed) {
  EXPECT_EQ(Ask(Saying("")), "room: say either a room or a user");
  EXPECT_EQ(Ask(Saying("group")), "room: is not type://id");
  EXPECT_EQ(Ask(Saying("live://1")), "room: clients may not write to rooms of this type");
  EXPECT_NE(Ask(Saying("user://1")).find("room: "), std::string::npos);
  Request request = Saying("group://1");
  request.mutable_publish()->set_op(7);
  EXPECT_EQ(Ask(request), "op: must be from 1000 to 2147483647");
  request = Saying("group://1");
  request.mutable_publish()->set_body("more than ten");
  EXPECT_EQ(Ask(request), "body: is longer than 10 bytes");
  EXPECT_NE(Ask(Saying("group://1", std::string(200, 'x'))), "");
  request = Saying("group://1");
  request.mutable_publish()->set_to_mid(3);
  EXPECT_NE(Ask(request), "");
  EXPECT_FALSE(replies[0].retry());
  EXPECT_TRUE(pushes.empty());
}

TEST_F(ClientPublisherTest, WhatWasNotStoredMayBeSaidAgain) {
  Ask(Saying("group://1"));
  accepts[0](Error{Errc::kUnavailable, "away"});
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_TRUE(replies[0].retry());
  EXPECT_EQ(replies[0].error(), "away");
}

}  // namespace
}  // namespace encke::push
