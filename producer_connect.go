package eventhubs

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
)

// ConnectOptions say how far Connect goes.
type ConnectOptions struct {
	// Links opens the link of every partition as well, all at once. Without it, the first batch of
	// a partition opens its link. With EnableIdempotentRetries, Connect opens one link in any case,
	// which shows whether the service offers that.
	Links bool
}

// Connect reaches the service before the first event does: it connects, authorises and asks for the
// partitions. Calling it is optional, and possible at any time, also from a handler. It tries once,
// until ctx ends. The error says what is wrong and what to check. A nil [*ConnectOptions] means no
// links.
func (p *BufferedProducer) Connect(ctx context.Context, options *ConnectOptions) error {
	if p.lifetime.closing.Load() {
		return errClosed()
	}
	ctx, cancel := p.lifetime.bound(ctx)
	defer cancel()
	list, err := p.directory.list(ctx)
	switch {
	case p.lifetime.closing.Load():
		return errClosed()
	case err != nil:
		err = failure(err, "", 1)
		// A caller whose context ends says nothing about the service.
		if ctx.Err() == nil {
			p.observer.health.failed(nil, err, askedFor)
		}
		return err
	}
	p.directory.adopt(list)
	partitions := p.directory.table.Load().partitions
	switch {
	case options != nil && options.Links:
		if p.directory.assigned != nil {
			partitions = append(slices.Clip(partitions), p.directory.assigned)
		}
	case p.options.EnableIdempotentRetries:
		partitions = partitions[:1] // its link shows whether the service offers that
	default:
		return nil
	}
	return p.openLinks(ctx, partitions)
}

// openLinks opens the links of partitions, all at once.
func (p *BufferedProducer) openLinks(ctx context.Context, partitions []*partition) error {
	errs := make([]error, len(partitions))
	var opening sync.WaitGroup
	for i, part := range partitions {
		// Ends with ctx at the latest, and so when no further try may begin.
		opening.Go(func() {
			if err := part.connect(ctx); err != nil {
				errs[i] = failure(err, part.id, 1)
			}
		})
	}
	opening.Wait()
	if p.lifetime.closing.Load() {
		return errClosed()
	}
	return unopened(errs)
}

// unopened joins the errors of links that could not be opened. It returns nil if all are nil.
func unopened(errs []error) error {
	all := errors.Join(errs...)
	if all == nil {
		return nil
	}
	var texts []string
	for _, err := range errs {
		if err != nil {
			texts = append(texts, bare(err))
		}
	}
	return joined("eventhubs: not all links could be opened: "+strings.Join(texts, "; "), all)
}
