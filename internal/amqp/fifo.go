package amqp

// fifo is a queue whose memory is reused.
type fifo[T any] struct {
	items []T
	head  int // index of the first item
}

func (q *fifo[T]) push(v T) { q.items = append(q.items, v) }

func (q *fifo[T]) first() (v T, ok bool) {
	if q.head == len(q.items) {
		return v, false
	}
	return q.items[q.head], true
}

// pop removes the first item; the queue must not be empty.
func (q *fifo[T]) pop() {
	var none T
	q.items[q.head] = none
	if q.head++; 2*q.head >= len(q.items) {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
}
