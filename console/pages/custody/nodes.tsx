// The processes that serve on the same database, and those that were there once.

import { Badge, Button, Stack, Table, Text, Title } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { type Answer, answerOf, api } from '../../api/client.ts';
import { useMay } from '../../api/session.tsx';
import { useEvery } from '../../live/live.tsx';
import { Asked } from '../../parts/asked.tsx';
import { Instant } from '../../parts/instant.tsx';
import { Rows } from '../../parts/rows.tsx';
import { TypedConfirmation } from '../../parts/typed-confirmation.tsx';
import { texts } from '../../texts.ts';

type Node = Answer<'listNodes'>[number];
/** Heard of so lately, in seconds, is there. */
const present = 15;

export function Nodes() {
  const client = useQueryClient();
  const may = useMay();
  const [forgetting, setForgetting] = useState<Node | null>(null);
  const query = useQuery({
    queryKey: ['/server', 'nodes'],
    queryFn: () => answerOf(api.GET('/api/v1/nodes')),
    refetchInterval: useEvery(15_000),
  });
  const said = texts.custody;
  return (
    <Stack gap="md">
      <Title order={2}>{said.nodes}</Title>
      <Asked query={query} lines={2}>
        {(nodes) =>
          nodes.length === 0 ? (
            <Text c="dimmed" maw={720}>
              {said.nodesNone}. {said.nodesNoneText}
            </Text>
          ) : (
            <>
              <Text c="dimmed">{said.nodesText}</Text>
              <Rows label={said.nodes} heads={[said.node, said.version, said.started, said.heard, said.actions]}>
                {nodes.map((node) => (
                  <Table.Tr key={node.id}>
                    <Table.Td>
                      {node.name}{' '}
                      {node.this && (
                        <Badge variant="outline" color="gray">
                          {said.thisOne}
                        </Badge>
                      )}
                    </Table.Td>
                    <Table.Td>{node.version}</Table.Td>
                    <Table.Td>
                      <Instant at={node.started_at} />
                    </Table.Td>
                    <Table.Td>
                      {node.silent_seconds <= present ? said.heardNow : said.heardAgo(node.silent_seconds)}
                    </Table.Td>
                    <Table.Td>
                      {!node.this && may('forgetNode') && (
                        <Button
                          variant="default"
                          size="compact-sm"
                          onClick={() => setForgetting(node)}
                          aria-label={said.forgetOf(node.name)}
                        >
                          {said.forget}
                        </Button>
                      )}
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Rows>
            </>
          )
        }
      </Asked>
      {forgetting !== null && (
        <TypedConfirmation
          title={said.forgetOf(forgetting.name)}
          about={said.forgetAbout}
          typed={forgetting.name}
          act={() => answerOf(api.DELETE('/api/v1/nodes/{node}', { params: { path: { node: forgetting.id } } }))}
          onClose={() => setForgetting(null)}
          onDone={() => void client.invalidateQueries({ queryKey: ['/server', 'nodes'] })}
        />
      )}
    </Stack>
  );
}
