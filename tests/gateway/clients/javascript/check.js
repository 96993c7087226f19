// Elastic's JavaScript client, unchanged: check.js URL INDEX; exits with an error at the first difference.
import assert from 'node:assert/strict'
import { Client, errors } from '@elastic/elasticsearch'

const [url, index] = process.argv.slice(2)
const client = new Client({ node: url })
const red = { match: { title: 'red' } }
const sorted = { query: { term: { brand: 'acme' } }, sort: ['price', 'id'] }
const ids = (answer) => answer.hits.hits.map((hit) => hit._id)

assert.equal((await client.info()).tagline, 'You Know, for Search')

const found = await client.search({
  index, query: red, size: 20, _source: ['title'],
  aggs: { brands: { terms: { field: 'brand' } } },
  highlight: { fields: { title: {} } }
})
assert.equal(new Set(ids(found)).size, 20)
assert.ok(found.hits.total.value >= 60)
assert.equal(found.hits.max_score, found.hits.hits[0]._score)
for (const hit of found.hits.hits) {
  assert.deepEqual(Object.keys(hit._source), ['title'])
  assert.match(hit.highlight.title[0], /^<em>red<\/em>/)
}
assert.ok(found.aggregations.brands.buckets.some((bucket) => bucket.key === 'acme'))

const plain = await client.search({ index, ...sorted, size: 5 })
assert.equal(ids(plain).length, 5)
assert.equal(plain.hits.hits[0]._score, null)

const several = await client.msearch({
  searches: [{ index }, { query: red, size: 2 }, { index }, { ...sorted, size: 1 }]
})
assert.deepEqual(several.responses.map((answer) => ids(answer).length), [2, 1])

const counted = await client.count({ index, query: sorted.query })
const seen = new Set()
const pit = await client.openPointInTime({ index, keep_alive: '1m' })
for (let after; ;) {
  const page = await client.search({ pit: { id: pit.id }, ...sorted, size: 100, search_after: after })
  if (page.hits.hits.length === 0) break
  page.hits.hits.forEach((hit) => seen.add(hit._id))
  after = page.hits.hits.at(-1).sort
}
await client.closePointInTime({ id: pit.id })
assert.equal(seen.size, counted.count)

const one = await client.get({ index, id: 'lamp-1' })
assert.equal(one._source.brand, 'acme')
await assert.rejects(client.get({ index, id: 'nothing' }), (error) => error.statusCode === 404)
await assert.rejects(
  client.search({ index, query: { nonsense: {} } }),
  (error) => error instanceof errors.ResponseError && error.body.error.type === 'parsing_exception'
)
await assert.rejects(client.search({ index: 'no-such-index' }), (error) => error.statusCode === 404)
console.log('same')
