// Searchkit, unchanged: check.js URL INDEX; prints what a shop window shows, without the order of ranked hits.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'

const Client = createRequire(import.meta.url)('@searchkit/api').default
const [url, index] = process.argv.slice(2)
const settings = {
  search_attributes: [{ field: 'title', weight: 3 }, 'description'],
  facet_attributes: [
    'brand',
    { attribute: 'price', field: 'price', type: 'numeric' },
    { attribute: 'seller', field: 'seller', type: 'string', nestedPath: 'offers' }
  ],
  result_attributes: ['title', 'price', 'brand'],
  highlight_attributes: ['title'],
  snippet_attributes: ['description'],
  sorting: { _cheap: [{ field: 'price', order: 'asc' }, { field: 'id', order: 'asc' }] }
}
const client = Client({ connection: { host: url }, search_settings: settings })
const shown = { facets: ['*'], maxValuesPerFacet: 20, hitsPerPage: 20 }
let ranked = []

async function ask(...requests) {
  const sent = requests.map(({ indexName = index, ...params }) => ({ indexName, params: { ...shown, ...params } }))
  const afterSearch = async (_, answers) => {
    ranked = answers.map((answer) => answer.hitweave?.degraded === null)
    return answers
  }
  return (await client.handleRequest(sent, { hooks: { afterSearch } })).results
}

const said = []
const sum = ({ nbHits, nbPages, facets, facets_stats: stats, hits }) => ({
  nbHits, nbPages, facets, stats, hits: hits.length,
  marked: hits.filter((hit) => hit._highlightResult.title.matchLevel === 'full').length,
  keys: [...new Set(hits.flatMap((hit) => Object.keys(hit)))].sort()
})
async function same(expectRanked, ...requests) {
  said.push((await ask(...requests)).map(sum))
  if (process.env.RANKED) assert.deepEqual(ranked, requests.map(() => expectRanked), JSON.stringify(requests))
}

const red = { query: 'red' }
await same(true, red)
await same(true, { query: 'glass lamp', facetFilters: [['brand:acme', 'brand:zeta']] }, { query: 'lamp', facetFilters: [['brand:acme']], hitsPerPage: 0 })
await same(true, { query: 'lamp', numericFilters: ['price>=100', 'price<=200'] })
await same(true, { query: 'lamp', facetFilters: [['seller:s2']] })
await same(false, { query: '' })

const sorted = await ask({ query: 'lamp', indexName: `${index}_cheap` })
said.push(sorted[0].hits.map((hit) => hit.objectID))

const pages = []
for (let page = 0; page < 4; page++) pages.push(...(await ask({ query: 'lamp', page }))[0].hits)
assert.equal(new Set(pages.map((hit) => hit.objectID)).size, 80)
console.log(JSON.stringify(said))
