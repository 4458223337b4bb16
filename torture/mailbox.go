package main

import "sync"

// A mailbox has what others want the driver's loop to do. To post never blocks, not even the loop
// itself.
type mailbox struct {
	mu    sync.Mutex // guards posts
	posts []func()
	wake  chan struct{} // has a token while there are posts
}

func newMailbox() *mailbox { return &mailbox{wake: make(chan struct{}, 1)} }

func (b *mailbox) post(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.posts = append(b.posts, f)
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// take takes all posts.
func (b *mailbox) take() []func() {
	b.mu.Lock()
	defer b.mu.Unlock()
	posts := b.posts
	b.posts = nil
	return posts
}
