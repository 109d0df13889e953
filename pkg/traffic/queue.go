package traffic

// due is something that happens at a time.
type due[T any] struct {
	at   int64  // Unix ms
	seq  uint64 // what was pushed first comes first at the same time
	what T
}

func (d *due[T]) before(o *due[T]) bool { return d.at < o.at || d.at == o.at && d.seq < o.seq }

// queue is a binary heap, the earliest first. It is typed, and can replace its
// first item in one go: container/heap would cost more than the records.
type queue[T any] struct {
	items []due[T]
	seq   uint64
}

func (q *queue[T]) push(at int64, what T) {
	q.seq++
	q.items = append(q.items, due[T]{at, q.seq, what})
	for i := len(q.items) - 1; i > 0; {
		parent := (i - 1) / 2
		if !q.items[i].before(&q.items[parent]) {
			return
		}
		q.items[i], q.items[parent] = q.items[parent], q.items[i]
		i = parent
	}
}

func (q *queue[T]) pop() due[T] {
	first, last := q.items[0], len(q.items)-1
	q.items[0] = q.items[last]
	q.items[last] = due[T]{} // let go of what it holds
	q.items = q.items[:last]
	q.sink()
	return first
}

// replace puts another item in the place of the first.
func (q *queue[T]) replace(at int64, what T) {
	q.seq++
	q.items[0] = due[T]{at, q.seq, what}
	q.sink()
}

// sink moves the first item down to where it belongs.
func (q *queue[T]) sink() {
	for i := 0; ; {
		child := 2*i + 1
		if child >= len(q.items) {
			return
		}
		if right := child + 1; right < len(q.items) && q.items[right].before(&q.items[child]) {
			child = right
		}
		if !q.items[child].before(&q.items[i]) {
			return
		}
		q.items[i], q.items[child] = q.items[child], q.items[i]
		i = child
	}
}
